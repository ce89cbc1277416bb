// What the sockets of one loop share, and how frames are made that begin in here.
#pragma once

#include <sys/random.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "events.h"
#include "frame.h"
#include "histogram.h"
#include "wheel.h"
#include "wire.h"

namespace live {

struct SocketOptions {
  // Towards the bot reelay is the client: what it sends is masked, and what comes isn't.
  bool isClient;
  std::size_t maxMessageBytes;
  double closeTimeoutMs;
  double stalledMs;
};

// Masks that nobody can foretell (RFC 6455 section 5.3), for what begins in here.
class Masks {
 public:
  const uint8_t* next() {
    if (at_ == bytes_.size() && getrandom(bytes_.data(), bytes_.size(), 0) == static_cast<ssize_t>(bytes_.size())) at_ = 0;
    if (at_ == bytes_.size()) at_ -= 4;
    at_ += 4;
    return bytes_.data() + at_ - 4;
  }

 private:
  std::array<uint8_t, 1024> bytes_{};
  std::size_t at_ = bytes_.size();
};

// A whole frame of a message or of a control message.
inline Bytes frameOf(Opcode opcode, const uint8_t* payload, std::size_t count, const uint8_t* mask) {
  uint8_t head[longestHead];
  const std::size_t headBytes = writeHead(head, opcode, count, mask);
  Bytes frame(headBytes + count);
  std::memcpy(frame.data(), head, headBytes);
  if (count == 0) return frame;
  if (mask == nullptr) std::memcpy(frame.data() + headBytes, payload, count);
  else applyMask(frame.data() + headBytes, payload, count, mask);
  return frame;
}

// What the sockets of one loop share.
struct SocketHost {
  // Outlives the sockets.
  Wire* wire;
  Wheel& wheel;
  EventQueue& events;
  Board board;
  Masks& masks;
  // Time as far as this thread was awake, ms: one that stood still, with its machine, blames nobody for the silence.
  double awakeMs = 0;
  // Sockets that are to be served in the next turn, whatever the kernel says.
  std::vector<uint32_t> ready;
  // Sockets that have something to tell JavaScript at the turn's end.
  std::vector<uint32_t> drained;
};

}  // namespace live
