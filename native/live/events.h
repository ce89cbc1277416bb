// What the thread that moves frames and JavaScript tell each other. Each queue has a lock, which is held for a swap or a push alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "message.h"

namespace live {

// The order is that of `LiveEvent` in src/relay/LiveLoop.ts.
enum class EventKind : uint8_t {
  // a: arrival, ms; b: 1 for a binary message; bytes: the message.
  message,
  // a: messages handed over that have left, or never will.
  drained,
  // The closing handshake begins. a: the Violation it is for.
  closing,
  // The last of a socket. a: close code; b: when its peer said that it closes, or else was found gone, ms.
  closed,
  // The peer has taken nothing for too long. a: bytes that waited.
  stalled,
  // slot: the link's number. a: 1 when audio for the bot is being dropped, 0 when no longer.
  overflow,
  // The last of a link. slot: its number; a, b: records of it that found no room and aren't told yet, and since when.
  unlinked,
  // The last of all.
  stopped,
};

struct Event {
  EventKind kind;
  uint32_t slot;
  double a = 0;
  double b = 0;
  Bytes bytes{};
};

// Events of one turn are gathered and handed over together.
class EventQueue {
 public:
  // `wake` is called when there is something to take, on the thread that hands over.
  explicit EventQueue(std::function<void()> wake) : wake_(std::move(wake)) {}

  void push(Event event) { gathered_.push_back(std::move(event)); }

  void handOver() {
    if (gathered_.empty()) return;
    bool isFirst = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      isFirst = waiting_.empty();
      for (Event& event : gathered_) waiting_.push_back(std::move(event));
    }
    gathered_.clear();
    if (isFirst) wake_();
  }

  std::vector<Event> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(waiting_, {});
  }

 private:
  std::function<void()> wake_;
  std::vector<Event> gathered_;
  std::mutex mutex_;
  std::vector<Event> waiting_;
};

enum class CommandKind : uint8_t { add, send, close, terminate, pause, resume, handled, link, unlink, share, stop };

class Socket;
struct LinkOptions;

struct Command {
  CommandKind kind;
  uint32_t slot = 0;
  // link: the bot's. unlink: none.
  uint32_t other = 0;
  // link, unlink: the link's number. handled: how many messages.
  uint32_t number = 0;
  // handled: of so many bytes. share: bytes.
  double amount = 0;
  // send: a whole frame. close: its Close frame. add: the socket's first input.
  Bytes bytes{};
  std::shared_ptr<Socket> socket{};
  std::shared_ptr<LinkOptions> options{};
};

class CommandQueue {
 public:
  // Returns whether nothing waited, so that the thread has to be woken.
  bool push(Command command) {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(command));
    return waiting_.size() == 1;
  }

  std::vector<Command> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(waiting_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Command> waiting_;
};

// Numbers that both sides see: src/relay/LiveBoard.ts has the layout.
class Board {
 public:
  explicit Board(double* cells) : cells_(cells) {}

  double* behind() { return &cells_[0]; }
  // Of all providers' sockets: bytes that wait for them, and how many there are.
  double* waitingBytes() { return &cells_[1]; }
  double* providers() { return &cells_[2]; }
  // Of one socket: bytes that wait for its peer, and bytes that were ever taken over from JavaScript.
  double* queued(uint32_t slot) { return &cells_[perLoop + 2 * slot]; }
  double* taken(uint32_t slot) { return &cells_[perLoop + 2 * slot + 1]; }

  static constexpr uint32_t perLoop = 8;

 private:
  double* cells_;
};

}  // namespace live
