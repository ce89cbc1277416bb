// Base64 as src/providers/Base64.ts takes it: the standard alphabet, padding complete or absent, no white space. Never reads beyond the
// text nor writes beyond the bytes that the text stands for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace live {

// What a text of base64 stands for.
struct Base64 {
  const char* text;
  // Without padding.
  std::size_t characters;

  // Bytes that `decode` writes.
  std::size_t bytes() const { return characters / 4 * 3 + (characters % 4 * 3) / 4; }
};

namespace detail {

constexpr uint32_t notInAlphabet = 0x80000000;
using Sextets = std::array<uint32_t, 256>;

constexpr Sextets sextetsAt(int shift) {
  Sextets table{};
  for (std::size_t i = 0; i < table.size(); i++) table[i] = notInAlphabet;
  const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (uint32_t value = 0; value < 64; value++) table[static_cast<uint8_t>(alphabet[value])] = value << shift;
  return table;
}

constexpr Sextets firstSextet = sextetsAt(18);
constexpr Sextets secondSextet = sextetsAt(12);
constexpr Sextets thirdSextet = sextetsAt(6);
constexpr Sextets fourthSextet = sextetsAt(0);

inline uint32_t quantum(const uint8_t* four) {
  return firstSextet[four[0]] | secondSextet[four[1]] | thirdSextet[four[2]] | fourthSextet[four[3]];
}

}  // namespace detail

// Measures a text; false where its length or its padding can't be right, or it stands for nothing.
inline bool measureBase64(const char* text, std::size_t count, Base64& found) {
  std::size_t characters = count;
  if (count > 0 && text[count - 1] == '=') {
    if (count % 4 != 0) return false;
    characters -= text[count - 2] == '=' ? 2 : 1;
  }
  found = {text, characters};
  return characters >= 2 && characters % 4 != 1;
}

// Writes `encoded.bytes()` bytes. False where a character isn't of the alphabet; then what was written means nothing.
inline bool decodeBase64(const Base64& encoded, uint8_t* to) {
  const auto* from = reinterpret_cast<const uint8_t*>(encoded.text);
  const std::size_t whole = encoded.characters / 4;
  uint32_t faults = 0;
  for (std::size_t i = 0; i < whole; i++, from += 4, to += 3) {
    const uint32_t bits = detail::quantum(from);
    faults |= bits;
    to[0] = static_cast<uint8_t>(bits >> 16);
    to[1] = static_cast<uint8_t>(bits >> 8);
    to[2] = static_cast<uint8_t>(bits);
  }
  const std::size_t rest = encoded.characters % 4;
  if (rest > 0) {
    uint8_t last[4] = {'A', 'A', 'A', 'A'};
    std::memcpy(last, from, rest);
    const uint32_t bits = detail::quantum(last);
    faults |= bits;
    to[0] = static_cast<uint8_t>(bits >> 16);
    if (rest == 3) to[1] = static_cast<uint8_t>(bits >> 8);
  }
  return (faults & detail::notInAlphabet) == 0;
}

}  // namespace live
