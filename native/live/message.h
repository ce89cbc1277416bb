// Messages that come in fragments (RFC 6455 section 5.4), and their limit. A message in one frame never passes through here whole: it is
// only checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "frame.h"

namespace live {

using Bytes = std::vector<uint8_t>;

class Message {
 public:
  explicit Message(std::size_t maxBytes) : maxBytes_(maxBytes) {}

  // Whether a data frame may come now, given what came before. To be asked as soon as its header is read, so that nobody waits for a
  // payload that is refused anyway.
  Violation check(const Frame& frame) const {
    const bool continues = frame.opcode == Opcode::continuation;
    if (continues != isOpen_) return Violation::opcode;
    if (frame.payloadBytes > maxBytes_ || bytes_.size() + frame.payloadBytes > maxBytes_)
      return Violation::messageTooLong;
    return Violation::none;
  }

  // Some of its fragments are there, others are to come.
  bool isOpen() const { return isOpen_; }

  // Takes a checked frame's payload. Returns whether the message is whole.
  bool add(const Frame& frame, const uint8_t* payload) {
    if (!isOpen_) opcode_ = frame.opcode;
    const std::size_t before = bytes_.size();
    const auto count = static_cast<std::size_t>(frame.payloadBytes);
    bytes_.resize(before + count);
    if (count > 0) applyMask(bytes_.data() + before, payload, count, frame.mask);
    isOpen_ = !frame.isFinal;
    return frame.isFinal;
  }

  bool isBinary() const { return opcode_ == Opcode::binary; }

  Bytes take() { return std::exchange(bytes_, Bytes()); }

 private:
  const std::size_t maxBytes_;
  Bytes bytes_;
  Opcode opcode_ = Opcode::text;
  bool isOpen_ = false;
};

}  // namespace live
