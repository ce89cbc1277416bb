// Finds what the relay needs in a Twilio media message, without a JSON parser and without allocating. It takes only what it fully
// understands: an object of scalars and one object `media` of scalars, plain ASCII without escapes. Whatever else a message may be,
// valid or not, is "not media" here, and JavaScript reads it as it always has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base64.h"

namespace live {

// The numbers of src/tap/TapRecord.ts.
enum class Track : uint8_t { none = 0, caller = 1, botHeard = 2, both = 3, mixed = 4, botSent = 5 };

enum class Side : uint8_t { provider, bot };

struct MediaText {
  Base64 payload;
  Track track;
  // ms since stream start; NaN of a bot's.
  double timestampMs;
};

namespace detail {

constexpr uint64_t ones = 0x0101010101010101;
constexpr uint64_t highs = 0x8080808080808080;

inline uint64_t zeroBytes(uint64_t word) { return (word - ones) & ~word & highs; }

// Bytes that end a plain string: a quote, a backslash, a control character, or one that isn't ASCII. The lowest mark is exact.
inline uint64_t strangeBytes(uint64_t word) {
  const uint64_t control = (word - ones * 0x20) & ~word & highs;
  return zeroBytes(word ^ ones * '"') | zeroBytes(word ^ ones * '\\') | control | (word & highs);
}

inline bool isStrange(uint8_t byte) { return byte == '"' || byte == '\\' || byte < 0x20 || byte >= 0x80; }

class MediaReader {
 public:
  MediaReader(const char* text, std::size_t count) : at_(text), end_(text + count) {}

  // `ownStream`: messages that name another one, or an empty one, are not media.
  bool read(std::string_view ownStream, Side side, MediaText& found) {
    if (!readObject(true)) return false;
    skipSpace();
    if (at_ != end_ || event_ != "media" || !hasMedia_) return false;
    if (hasStream_ && (stream_.empty() || stream_ != ownStream)) return false;
    if (!hasPayload_ || !measureBase64(payload_.data(), payload_.size(), found.payload)) return false;
    if (side == Side::bot) {
      found.track = Track::botSent;
      found.timestampMs = __builtin_nan("");
      return true;
    }
    return hasTimestamp_ && readTrack(found.track) && readTimestamp(found.timestampMs);
  }

 private:
  struct Value {
    std::string_view text;
    bool isString = false;
  };

  bool readObject(bool isOuter) {
    skipSpace();
    if (!take('{')) return false;
    skipSpace();
    do {
      std::string_view key;
      skipSpace();
      if (!readString(key)) return false;
      skipSpace();
      if (!take(':')) return false;
      skipSpace();
      if (isOuter && key == "media") {
        if (hasMedia_ || !readObject(false)) return false;
        hasMedia_ = true;
      } else {
        Value value;
        if (!readScalar(value) || !keep(isOuter, key, value)) return false;
      }
      skipSpace();
    } while (take(','));
    return take('}');
  }

  // False for what isn't written as it should be, or is there twice.
  bool keep(bool isOuter, std::string_view key, const Value& value) {
    if (isOuter) {
      if (key == "event") return keepOnce(event_, hasEvent_, value);
      if (key == "streamSid") return keepOnce(stream_, hasStream_, value);
      return true;
    }
    if (key == "payload") return keepOnce(payload_, hasPayload_, value);
    if (key == "track") return keepOnce(track_, hasTrack_, value);
    if (key != "timestamp") return true;
    if (hasTimestamp_) return false;
    hasTimestamp_ = true;
    timestamp_ = value.text;
    return true;
  }

  static bool keepOnce(std::string_view& field, bool& has, const Value& value) {
    if (has || !value.isString) return false;
    has = true;
    field = value.text;
    return true;
  }

  bool readTrack(Track& track) const {
    if (!hasTrack_ || track_ == "inbound" || track_ == "inbound_track") track = Track::caller;
    else if (track_ == "outbound" || track_ == "outbound_track") track = Track::botHeard;
    else return false;
    return true;
  }

  bool readTimestamp(double& ms) const {
    if (timestamp_.empty() || timestamp_.size() > 15) return false;
    uint64_t value = 0;
    for (const char digit : timestamp_) {
      if (digit < '0' || digit > '9') return false;
      value = value * 10 + static_cast<uint64_t>(digit - '0');
    }
    ms = static_cast<double>(value);
    return true;
  }

  bool readScalar(Value& value) {
    if (at_ == end_) return false;
    if (*at_ == '"') {
      value.isString = true;
      return readString(value.text);
    }
    for (const std::string_view word : {"true", "false", "null"}) {
      if (static_cast<std::size_t>(end_ - at_) < word.size() || std::string_view(at_, word.size()) != word) continue;
      value.text = word;
      at_ += word.size();
      return true;
    }
    return readWhole(value.text);
  }

  // A whole number from 0; JSON has others, which no media message needs.
  bool readWhole(std::string_view& text) {
    const char* begin = at_;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') at_++;
    text = std::string_view(begin, static_cast<std::size_t>(at_ - begin));
    return !text.empty() && (text.size() == 1 || text[0] != '0');
  }

  // Eight bytes at a time: the payload is most of a message.
  bool readString(std::string_view& text) {
    if (!take('"')) return false;
    const char* begin = at_;
    for (; end_ - at_ >= 8; at_ += 8) {
      uint64_t word;
      std::memcpy(&word, at_, 8);
      const uint64_t strange = strangeBytes(word);
      if (strange == 0) continue;
      at_ += __builtin_ctzll(strange) / 8;
      break;
    }
    while (at_ != end_ && !isStrange(static_cast<uint8_t>(*at_))) at_++;
    text = std::string_view(begin, static_cast<std::size_t>(at_ - begin));
    return take('"');
  }

  void skipSpace() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) at_++;
  }

  bool take(char expected) {
    if (at_ == end_ || *at_ != expected) return false;
    at_++;
    return true;
  }

  const char* at_;
  const char* end_;
  std::string_view event_, stream_, track_, timestamp_, payload_;
  bool hasEvent_ = false, hasStream_ = false, hasTrack_ = false, hasTimestamp_ = false, hasPayload_ = false;
  bool hasMedia_ = false;
};

}  // namespace detail

// Whether the text is a media message of `ownStream`, or of none.
inline bool findMedia(const char* text, std::size_t count, std::string_view ownStream, Side side, MediaText& found) {
  return detail::MediaReader(text, count).read(ownStream, side, found);
}

// Whether audio begins with a RIFF/WAVE header, of which somebody wants to be told.
inline bool hasWaveHeader(const uint8_t* audio, std::size_t count) {
  return count >= 12 && std::memcmp(audio, "RIFF", 4) == 0 && std::memcmp(audio + 8, "WAVE", 4) == 0;
}

}  // namespace live
