// WebSocket frames as RFC 6455 section 5.2 has them: reading a header, writing one, and the mask. Pure: bytes in, values out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace live {

enum class Opcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// What a peer did wrong. The order is that of `violationNames` in src/relay/FastSocket.ts.
enum class Violation : uint8_t {
  none,
  reservedBits,
  opcode,
  fragmentedControl,
  longControl,
  maskMissing,
  maskPresent,
  messageTooLong,
  closePayload,
  closeCode,
};

constexpr uint16_t closeCodeOf(Violation violation) {
  return violation == Violation::messageTooLong ? 1009 : 1002;
}

constexpr std::size_t longestControl = 125;
constexpr std::size_t longestHead = 14;

struct Frame {
  bool isFinal;
  bool isMasked;
  // Its length is written in as few bytes as can be.
  bool isMinimal;
  Opcode opcode;
  uint8_t mask[4];
  std::size_t headBytes;
  uint64_t payloadBytes;

  bool isControl() const { return static_cast<uint8_t>(opcode) >= 8; }
};

enum class Parsed : uint8_t { whole, partial, violated };

namespace detail {

inline uint64_t bigEndian(const uint8_t* bytes, std::size_t count) {
  uint64_t value = 0;
  for (std::size_t i = 0; i < count; i++) value = value << 8 | bytes[i];
  return value;
}

inline bool isKnown(uint8_t opcode) { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

}  // namespace detail

// Reads the header at `bytes`. `partial`: more bytes are needed to tell.
inline Parsed readHead(const uint8_t* bytes, std::size_t count, Frame& frame, Violation& violation) {
  if (count < 2) return Parsed::partial;
  const uint8_t opcode = bytes[0] & 0x0f;
  const uint8_t shortLength = bytes[1] & 0x7f;
  frame.isFinal = (bytes[0] & 0x80) != 0;
  frame.isMasked = (bytes[1] & 0x80) != 0;
  if ((bytes[0] & 0x70) != 0) violation = Violation::reservedBits;
  else if (!detail::isKnown(opcode)) violation = Violation::opcode;
  else if (opcode >= 8 && !frame.isFinal) violation = Violation::fragmentedControl;
  else if (opcode >= 8 && shortLength > longestControl) violation = Violation::longControl;
  if (violation != Violation::none) return Parsed::violated;
  frame.opcode = static_cast<Opcode>(opcode);
  const std::size_t lengthBytes = shortLength < 126 ? 0 : shortLength == 126 ? 2 : 8;
  frame.headBytes = 2 + lengthBytes + (frame.isMasked ? 4 : 0);
  if (count < frame.headBytes) return Parsed::partial;
  frame.payloadBytes = lengthBytes == 0 ? shortLength : detail::bigEndian(bytes + 2, lengthBytes);
  frame.isMinimal = lengthBytes == 0 || frame.payloadBytes >= (lengthBytes == 2 ? 126U : 65536U);
  if (frame.isMasked) std::memcpy(frame.mask, bytes + frame.headBytes - 4, 4);
  else std::memset(frame.mask, 0, 4);
  return Parsed::whole;
}

// Writes a header of at most `longestHead` bytes. `mask`: null for a server's frame. Returns its length.
inline std::size_t writeHead(uint8_t* to, Opcode opcode, uint64_t payloadBytes, const uint8_t* mask) {
  const uint8_t maskBit = mask == nullptr ? 0 : 0x80;
  std::size_t at = 2;
  to[0] = 0x80 | static_cast<uint8_t>(opcode);
  if (payloadBytes < 126) {
    to[1] = static_cast<uint8_t>(maskBit | payloadBytes);
  } else {
    const std::size_t lengthBytes = payloadBytes < 65536 ? 2 : 8;
    to[1] = static_cast<uint8_t>(maskBit | (lengthBytes == 2 ? 126 : 127));
    for (std::size_t i = 0; i < lengthBytes; i++)
      to[at++] = static_cast<uint8_t>(payloadBytes >> (8 * (lengthBytes - 1 - i)));
  }
  if (mask != nullptr) {
    std::memcpy(to + at, mask, 4);
    at += 4;
  }
  return at;
}

// Masks or unmasks; `to` may be `from`. `phase`: how many bytes of the payload came before.
inline void applyMask(uint8_t* to, const uint8_t* from, std::size_t count, const uint8_t mask[4], std::size_t phase = 0) {
  uint8_t turned[8];
  for (std::size_t i = 0; i < 8; i++) turned[i] = mask[(phase + i) & 3];
  uint64_t wide;
  std::memcpy(&wide, turned, 8);
  std::size_t at = 0;
  for (; at + 8 <= count; at += 8) {
    uint64_t word;
    std::memcpy(&word, from + at, 8);
    word ^= wide;
    std::memcpy(to + at, &word, 8);
  }
  for (; at < count; at++) to[at] = from[at] ^ turned[at & 7];
}

// Whether a peer may send this code in a Close frame (RFC 6455 section 7.4).
inline bool isCloseCode(uint16_t code) {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

}  // namespace live
