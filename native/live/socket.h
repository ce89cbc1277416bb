// One socket of the thread that moves frames: what was read of it and not yet understood, what waits to be written, the closing
// handshake, pings, and the times after which its peer is given up. It knows frames, and nothing of what they carry.
#pragma once

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "host.h"
#include "message.h"
#include "outbox.h"

namespace live {

struct Link;

class Socket {
 public:
  // The events that it is added to the poll with.
  static constexpr uint32_t untilBegun = EPOLLONESHOT;
  static constexpr double pingEveryMs = 10000;
  static constexpr double silentForMs = 25000;
  static constexpr double lookEveryMs = 1000;
  static constexpr std::size_t mostInHand = 256;
  static constexpr std::size_t mostBytesInHand = 262144;
  // A peer that reads nothing gets no answers to its pings either.
  static constexpr std::size_t mostBeforePong = 1048576;

  Socket(SocketHost& host, uint32_t slot, int fd, SocketOptions options)
      : message(options.maxMessageBytes), slot(slot), options(options), host_(host), fd_(fd) {
    timer.owner = this;
  }

  ~Socket() { release(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  Timer timer;
  Message message;
  const uint32_t slot;
  const SocketOptions options;
  Link* link = nullptr;
  // What was read and not yet understood, from `inputAt` on.
  Bytes input;
  std::size_t inputAt = 0;
  // There may be whole frames in it: the turn's budget was used up, or nobody wanted to read.
  bool hasLeftover = false;
  // The peer sends no more.
  bool isAtEnd = false;
  // Why it isn't read: its owner paused it, or the one that it is forwarded to has too much.
  bool isPaused = false;
  bool isHeldBack = false;

  // On the loop's thread, after it was added to the poll.
  void begin() {
    seenMs_ = lookedMs_ = host_.awakeMs;
    pingMs_ = host_.awakeMs + pingEveryMs;
    putCell(host_.board.queued(slot), 0);
    putCell(host_.board.taken(slot), 0);
    if (!options.isClient) addToCell(host_.board.providers(), 1);
    schedule(host_.awakeMs + lookEveryMs);
    refresh();
  }

  bool isOpen() const { return !isGone_ && !closeSent_ && !closeReceived_ && !isBroken_; }
  bool isGone() const { return isGone_; }
  // Whatever still comes is nobody's: the peer has said that it is done, or broke the protocol.
  bool isDeaf() const { return closeReceived_ || isViolated_; }
  // Of a peer that is gone no more will come than the kernel has, so nobody need be held back for it.
  bool wantsRead() const {
    const bool isHeld = (isPaused || isHeldBack) && !isHungUp_;
    return !isHeld && inHand_ < mostInHand && inHandBytes_ <= mostBytesInHand;
  }
  bool isForwarding() const { return link != nullptr && inHand_ == 0 && !message.isOpen() && !isDeaf(); }
  std::size_t queuedBytes() const { return outbox_.bytes(); }
  int fd() const { return fd_; }

  void heard() { seenMs_ = host_.awakeMs; }

  // ---- Towards JavaScript

  void hand(Bytes bytes, bool isBinary, double arrivalMs) {
    inHand_++;
    inHandBytes_ += bytes.size();
    host_.events.push({EventKind::message, slot, arrivalMs, isBinary ? 1.0 : 0.0, std::move(bytes)});
  }

  void handled(std::size_t messages, std::size_t bytes) {
    inHand_ -= std::min(inHand_, messages);
    inHandBytes_ -= std::min(inHandBytes_, bytes);
    wantMore();
  }

  // Reads on, after something has changed that may have kept it from it.
  void wantMore() {
    if (isGone_) return;
    if (wantsRead() && (hasLeftover || isHungUp_)) host_.ready.push_back(slot);
    refresh();
  }

  // ---- Towards the peer

  // Whole frames, which are copied only as far as the kernel doesn't take them at once.
  void write(const uint8_t* bytes, std::size_t count) {
    if (isGone_ || closeSent_ || isBroken_) return;
    std::size_t written = 0;
    if (outbox_.isEmpty()) written = put(bytes, count);
    if (written < count && !isBroken_) queue([&] { outbox_.append(bytes + written, count - written); });
  }

  // A message of JavaScript's, which hears of it once it has left or never will.
  void send(Bytes frame) {
    const auto bytes = static_cast<double>(frame.size());
    if (closeSent_ || isBroken_ || isGone_) drained(1);
    else {
      sends_.push_back(ended_ + outbox_.bytes() + frame.size());
      std::size_t written = 0;
      if (outbox_.isEmpty()) written = put(frame.data(), frame.size());
      if (written == frame.size()) wrote(0);
      else if (!isBroken_ && written == 0) queue([&] { outbox_.append(std::move(frame)); });
      else if (!isBroken_) queue([&] { outbox_.append(frame.data() + written, frame.size() - written); });
    }
    // Last: whoever adds what waits here to what wasn't taken over never sees too little.
    addToCell(host_.board.taken(slot), bytes);
  }

  void control(Opcode opcode, const uint8_t* payload, std::size_t count) {
    const Bytes frame = frameOf(opcode, payload, count, options.isClient ? host_.masks.next() : nullptr);
    write(frame.data(), frame.size());
  }

  // Begins the closing handshake, or answers it. `frame`: the Close frame.
  void close(const Bytes& frame) {
    if (isGone_ || closeSent_) return;
    write(frame.data(), frame.size());
    closeSent_ = true;
    awaitEnd();
    settle();
  }

  void close(uint16_t code) {
    const uint8_t payload[2] = {static_cast<uint8_t>(code >> 8), static_cast<uint8_t>(code)};
    close(frameOf(Opcode::close, payload, code == noCode ? 0 : 2, options.isClient ? host_.masks.next() : nullptr));
  }

  // The peer's Close frame.
  void closeArrived(uint16_t code, double arrivalMs) {
    closeReceived_ = true;
    closeCode_ = code;
    closeArrivalMs_ = arrivalMs;
    host_.events.push({EventKind::closing, slot});
    close(code);
    settle();
  }

  // The peer broke the protocol: it is told so, and not listened to any more.
  void fail(Violation violation) {
    if (isViolated_) return;
    isViolated_ = true;
    host_.events.push({EventKind::closing, slot, static_cast<double>(violation)});
    close(closeCodeOf(violation));
    settle();
  }

  // Writes what the kernel takes.
  void flush() {
    iovec pieces[16];
    while (!isGone_ && !isBroken_ && !outbox_.isEmpty()) {
      msghdr message{};
      message.msg_iov = pieces;
      message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(outbox_.pieces(pieces, 16));
      const ssize_t written = sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        if (errno != EAGAIN) broke();
        break;
      }
      takenSinceLook_ = true;
      const std::size_t before = outbox_.bytes();
      outbox_.drop(static_cast<std::size_t>(written));
      queuedChanged(before);
      wrote(static_cast<std::size_t>(written));
    }
    refresh();
    settle();
  }

  // The kernel says that the connection is over. What it has received is still there to be read, by and by.
  void hangUp() {
    if (isHungUp_) return;
    isHungUp_ = true;
    // It would be told again and again, whether anybody wants to read or not.
    leavePoll();
    broke();
    host_.ready.push_back(slot);
  }

  bool isHungUp() const { return isHungUp_; }

  // The end, at `nowMs`; the caller has seen to the link.
  void finish(double nowMs) {
    if (isGone_) return;
    isGone_ = true;
    drained(sends_.size());
    sends_.clear();
    tellDrained();
    const std::size_t before = outbox_.bytes();
    outbox_.clear();
    queuedChanged(before);
    if (!options.isClient) addToCell(host_.board.providers(), -1);
    timer.unset();
    // Whoever gave it may still have it open, and it would be told of until that is closed.
    if (!isHungUp_) leavePoll();
    release();
    // Its peer's last word may be long ago by now: the answer, and the end of the connection, have taken their time.
    host_.events.push({EventKind::closed, slot, static_cast<double>(closeCode_), closeReceived_ ? closeArrivalMs_ : nowMs});
  }

  // ---- Time

  enum class Verdict : uint8_t { lives, isOver };

  // Whatever is due. To be called when the timer is.
  Verdict look() {
    const double nowMs = host_.awakeMs;
    const double sinceMs = nowMs - lookedMs_;
    lookedMs_ = nowMs;
    // Nothing is read from a paused socket, not even its pongs, so its silence is our own.
    if (!wantsRead()) seenMs_ = nowMs;
    if (nowMs - seenMs_ > silentForMs || (closeMs_ > 0 && nowMs >= closeMs_)) return Verdict::isOver;
    if (outbox_.isEmpty() || takenSinceLook_ || !wasWaiting_) stalledForMs_ = 0;
    else stalledForMs_ += sinceMs;
    takenSinceLook_ = false;
    wasWaiting_ = !outbox_.isEmpty();
    if (wasWaiting_ && stalledForMs_ >= options.stalledMs && !isStalled_) {
      isStalled_ = true;
      host_.events.push({EventKind::stalled, slot, static_cast<double>(outbox_.bytes())});
    }
    if (nowMs >= pingMs_) {
      pingMs_ = nowMs + pingEveryMs;
      if (isOpen() && outbox_.bytes() < mostBeforePong) control(Opcode::ping, nullptr, 0);
    }
    double nextMs = std::min(pingMs_, seenMs_ + silentForMs + 1);
    if (closeMs_ > 0) nextMs = std::min(nextMs, closeMs_);
    if (wasWaiting_) nextMs = std::min(nextMs, nowMs + lookEveryMs);
    schedule(nextMs);
    return Verdict::lives;
  }

  // Tells JavaScript how many of its messages have left since the last time.
  void tellDrained() {
    if (drained_ == 0) return;
    host_.events.push({EventKind::drained, slot, static_cast<double>(drained_)});
    drained_ = 0;
  }

  static constexpr uint16_t noCode = 1005;
  static constexpr uint16_t brokenCode = 1006;

 private:
  // Returns how much the kernel took.
  std::size_t put(const uint8_t* bytes, std::size_t count) {
    ssize_t written;
    do written = ::send(fd_, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (written < 0 && errno == EINTR);
    if (written < 0 && errno != EAGAIN) broke();
    if (written <= 0) return 0;
    ended_ += static_cast<uint64_t>(written);
    return static_cast<std::size_t>(written);
  }

  template <typename Append>
  void queue(Append append) {
    const std::size_t before = outbox_.bytes();
    append();
    queuedChanged(before);
    if (before > 0) return;
    // Its peer has from now on as long as it may stall.
    schedule(std::min(timer.isSet() ? timer.dueMs : host_.awakeMs + lookEveryMs, host_.awakeMs + lookEveryMs));
    refresh();
  }

  void queuedChanged(std::size_t before) {
    const auto now = static_cast<double>(outbox_.bytes());
    putCell(host_.board.queued(slot), now);
    if (!options.isClient) addToCell(host_.board.waitingBytes(), now - static_cast<double>(before));
  }

  void wrote(std::size_t count) {
    ended_ += count;
    std::size_t messages = 0;
    while (messages < sends_.size() && sends_[messages] <= ended_) messages++;
    sends_.erase(sends_.begin(), sends_.begin() + static_cast<std::ptrdiff_t>(messages));
    drained(messages);
  }

  void drained(std::size_t messages) {
    if (messages == 0) return;
    if (drained_ == 0) host_.drained.push_back(slot);
    drained_ += messages;
  }

  // Nothing can be written any more. What can be read comes first, then the end.
  void broke() {
    if (isBroken_) return;
    isBroken_ = true;
    const std::size_t before = outbox_.bytes();
    outbox_.clear();
    queuedChanged(before);
    drained(sends_.size());
    sends_.clear();
    awaitEnd();
    refresh();
  }

  void awaitEnd() {
    if (closeMs_ > 0) return;
    closeMs_ = host_.awakeMs + options.closeTimeoutMs;
    schedule(std::min(timer.isSet() ? timer.dueMs : closeMs_, closeMs_));
  }

  // Both have said that they are done, or one is no longer listened to: the rest is TCP's.
  void settle() {
    if (!closeSent_ || isFinSent_ || isGone_ || !isDeaf() || !outbox_.isEmpty() || isBroken_) return;
    isFinSent_ = true;
    shutdown(fd_, SHUT_WR);
  }

  // Asks the kernel for what is wanted now.
  void refresh() {
    if (isGone_ || isHungUp_) return;
    const uint32_t reading = wantsRead() && !isAtEnd ? EPOLLIN : 0U;
    const uint32_t wanted = reading | (outbox_.isEmpty() ? 0U : EPOLLOUT);
    if (wanted == asked_) return;
    asked_ = wanted;
    epoll_event event{};
    event.events = wanted;
    event.data.u64 = slot;
    epoll_ctl(host_.poll, EPOLL_CTL_MOD, fd_, &event);
  }

  void leavePoll() { epoll_ctl(host_.poll, EPOLL_CTL_DEL, fd_, nullptr); }

  void schedule(double dueMs) { host_.wheel.set(timer, dueMs); }

  void release() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  SocketHost& host_;
  int fd_;
  Outbox outbox_;
  // Where in all that was ever written each of JavaScript's messages ends, and how much that is so far.
  std::deque<uint64_t> sends_;
  uint64_t ended_ = 0;
  std::size_t drained_ = 0;
  std::size_t inHand_ = 0;
  std::size_t inHandBytes_ = 0;
  uint32_t asked_ = untilBegun;
  double seenMs_ = 0;
  double pingMs_ = 0;
  double lookedMs_ = 0;
  double closeMs_ = 0;
  double closeArrivalMs_ = 0;
  double stalledForMs_ = 0;
  uint16_t closeCode_ = brokenCode;
  bool closeSent_ = false;
  bool closeReceived_ = false;
  bool isFinSent_ = false;
  bool isViolated_ = false;
  bool isBroken_ = false;
  bool isHungUp_ = false;
  bool isGone_ = false;
  bool isStalled_ = false;
  bool wasWaiting_ = false;
  bool takenSinceLook_ = false;
};

}  // namespace live
