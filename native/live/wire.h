// What stands between the sockets of one loop and the kernel: what is asked of it, and what it tells. There are two: epoll (epoll.h), and
// io_uring (uring.h), where the system has it and lets it be used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "message.h"

namespace live {

class Socket;

// The order is that of `liveWires` in src/relay/LiveLoop.ts.
enum class WireKind : uint8_t { epoll, ioUring };

// What has come of a socket. The bytes stay where they are to the end of the turn with io_uring, and to the next `receive` with epoll.
struct Chunk {
  const uint8_t* bytes = nullptr;
  std::size_t count = 0;
};

// What is to be told of a socket. That its connection is over is told anyhow.
struct Wants {
  bool reading = false;
  bool writing = false;

  bool operator==(const Wants& other) const { return reading == other.reading && writing == other.writing; }
};

// Who is told, on the loop's thread, once for each event. Sockets are told by their slots, since any of them may have ended meanwhile.
class WireListener {
 public:
  // What was gathered, if anything, goes to the kernel now.
  virtual void leaves() = 0;
  // The kernel has answered; what else it says follows.
  virtual void begins() = 0;
  // Somebody called `wake`.
  virtual void woken() = 0;
  // There is something to `receive`, or nothing will ever be again.
  virtual void readable(uint32_t slot) = 0;
  // The kernel would take some of what waits.
  virtual void writable(uint32_t slot) = 0;
  // The connection is over, in both directions or by an error.
  virtual void hungUp(uint32_t slot) = 0;
  // Of what was gathered the kernel didn't take all: it waits for the peer now.
  virtual void waits(uint32_t slot) = 0;

 protected:
  ~WireListener() = default;
};

class Wire {
 public:
  // A turn without anything to tell takes as long as this, ms.
  static constexpr int idleMs = 250;

  explicit Wire(WireKind kind) : kind(kind) {}
  virtual ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  const WireKind kind;

  // ---- Before the loop's thread runs, then on any thread

  // Returns 0, or an errno: this wire isn't to be had.
  virtual int open() = 0;
  // Prepares for a descriptor. False when it isn't one that can be waited for.
  virtual bool take(uint32_t slot, int fd) = 0;
  void wake();

  // ---- On the loop's thread

  // The first of all.
  virtual void begin() {}
  // The last of all, after every socket was removed.
  virtual void end() {}
  virtual void add(Socket& socket) = 0;
  virtual void want(Socket& socket, Wants wants) = 0;
  // It was told that the connection is over, and isn't to be told again.
  virtual void unwatch(Socket& socket) = 0;
  // Before the descriptor is closed.
  virtual void remove(Socket& socket) = 0;
  // What there is of a socket, without waiting; sets `isAtEnd` when there is nothing and never will be.
  virtual Chunk receive(Socket& socket) = 0;
  // Takes bytes over, to be sent with others of this turn; `Socket::sent` tells what became of them. False: nothing was taken over, and
  // nothing of this socket is waiting to be sent so.
  virtual bool gather(Socket& socket, const uint8_t* bytes, std::size_t count) = 0;
  // Waits, when it `mayWait`, until there is something to tell, and tells it.
  virtual void turn(bool mayWait, WireListener& listener) = 0;

 protected:
  int openWaker(int flags);
  int waker() const { return waker_; }
  // By a call of its own.
  Chunk receiveNow(Socket& socket);

 private:
  static constexpr std::size_t readBytes = 65536;

  int waker_ = -1;
  Bytes read_;
};

// The preferred wire, open; else epoll's, and why in `refusal`, an errno. Null: neither is to be had.
std::unique_ptr<Wire> openWire(WireKind preferred, int& refusal);

}  // namespace live
