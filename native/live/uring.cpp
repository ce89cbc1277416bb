#include "uring.h"

#if defined(__has_include)
#if __has_include(<linux/io_uring.h>)
#include <linux/io_uring.h>
#endif
#endif

// Of Linux 6.1; whatever else is used here is older.
#if defined(IORING_SETUP_DEFER_TASKRUN) && defined(IORING_RECV_MULTISHOT)

#include <errno.h>
#include <linux/time_types.h>
#include <poll.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "arena.h"
#include "socket.h"
#include "uring_buffers.h"
#include "uring_queues.h"

namespace live {

namespace {

// What was asked for, in the upper bits of its mark; then whose it is, for sockets by slot and by how many had that slot before.
enum class Kind : uint8_t { receive, poll, send, wake, tick, cancel };

uint64_t markOf(Kind kind, uint32_t slot = 0, uint32_t holder = 0) {
  return static_cast<uint64_t>(kind) << 56 | static_cast<uint64_t>(holder & 0xffffff) << 32 | slot;
}

// A request that answers again and again, until it is cancelled or the kernel ends it.
enum class Standing : uint8_t { none, up, ending };

struct Line {
  Socket* socket = nullptr;
  uint32_t holder = 0;
  Wants wants{};
  Standing receive = Standing::none;
  Standing poll = Standing::none;
  uint16_t polled = 0;
  bool isListed = false;
  // Told that its connection is over.
  bool isOver = false;
};

class Uring final : public Wire {
 public:
  Uring() : Wire(WireKind::ioUring) {}

  int open() override {
    if (const int failure = openWaker(0)) return failure;
    if (const int failure = queues_.open()) return failure;
    return buffers_.open(queues_.fd());
  }

  bool take(uint32_t, int fd) override {
    int type = 0;
    socklen_t length = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
  }

  void begin() override {
    queues_.begin();
    askForWaking();
    askForTick();
  }

  // Connections are closed when the kernel has let go of them, which it does with its next answers.
  void end() override {
    for (int turns = 0; standing_ > 0 && turns < mostLastTurns; turns++) {
      exchange(0);
      for (const Completion& answer : answers_) count(answer);
      answers_.clear();
    }
  }

  void add(Socket& socket) override {
    if (lines_.size() <= socket.slot) lines_.resize(socket.slot + 1);
    Line& line = lines_[socket.slot];
    const uint32_t holder = line.holder + 1;
    line = Line{};
    line.socket = &socket;
    line.holder = holder;
    list(socket.slot);
  }

  void want(Socket& socket, Wants wants) override {
    lines_[socket.slot].wants = wants;
    list(socket.slot);
  }

  void unwatch(Socket& socket) override {
    lines_[socket.slot].isOver = true;
    list(socket.slot);
  }

  void remove(Socket& socket) override {
    Line& line = lines_[socket.slot];
    if (line.socket != &socket) return;
    if (line.receive == Standing::up) cancel(markOf(Kind::receive, socket.slot, line.holder));
    if (line.poll == Standing::up) cancel(markOf(Kind::poll, socket.slot, line.holder));
    line.socket = nullptr;
  }

  Chunk receive(Socket& socket) override {
    if (came_.count > 0) return std::exchange(came_, {});
    const Line& line = lines_[socket.slot];
    // Of one that is over nothing comes by itself any more, unless it is still being received.
    const bool isLeft = line.isOver && line.receive == Standing::none;
    return isLeft && !socket.hasLeftover && !socket.isAtEnd ? receiveNow(socket) : Chunk{};
  }

  bool gather(Socket& socket, const uint8_t* bytes, std::size_t count) override {
    Parcel& parcel = socket.parcel;
    if (!parcel.hasRoom(count)) {
      socket.sendParcel();
      if (!socket.mayGather() || !parcel.hasRoom(count)) return false;
    }
    if (parcel.isEmpty()) parcels_.push_back(socket.slot);
    parcel.add(buffers_.holds(bytes) ? bytes : copies_.keep(bytes, count), count);
    return true;
  }

  void turn(bool mayWait, WireListener& listener) override {
    const bool isAwaited = dispatch();
    listener.leaves();
    settle();
    exchange(mayWait && !isAwaited && answers_.empty() ? 1 : 0);
    arrive(listener);
    copies_.clear();
    recycle();
    listener.begins();
    // What is asked for meanwhile may be answered at once.
    for (std::size_t i = 0; i < answers_.size(); i++) tell(Completion(answers_[i]), listener);
    answers_.clear();
  }

 private:
  static constexpr int mostLastTurns = 100;

  static Kind kindOf(const Completion& answer) { return static_cast<Kind>(answer.mark >> 56); }

  // Whose it is; null when that one is gone.
  Line* lineOf(const Completion& answer) {
    const auto slot = static_cast<uint32_t>(answer.mark);
    if (slot >= lines_.size()) return nullptr;
    Line& line = lines_[slot];
    const bool isIts = (line.holder & 0xffffff) == (answer.mark >> 32 & 0xffffff);
    return isIts && line.socket != nullptr ? &line : nullptr;
  }

  // ---- What is asked of the kernel

  io_uring_sqe& ask(uint8_t opcode, int fd, uint64_t mark) {
    io_uring_sqe* place = queues_.ask();
    if (place == nullptr) {
      queues_.submit([this](const Completion& answer) { answers_.push_back(answer); });
      place = queues_.ask();
    }
    place->opcode = opcode;
    place->fd = fd;
    place->user_data = mark;
    return *place;
  }

  void askForWaking() {
    io_uring_sqe& read = ask(IORING_OP_READ, waker(), markOf(Kind::wake));
    read.addr = reinterpret_cast<uint64_t>(&wakes_);
    read.len = sizeof wakes_;
  }

  // So that a turn that waits needs no timer of its own.
  void askForTick() {
    io_uring_sqe& timeout = ask(IORING_OP_TIMEOUT, -1, markOf(Kind::tick));
    timeout.addr = reinterpret_cast<uint64_t>(&idle_);
    timeout.len = 1;
  }

  void askToReceive(uint32_t slot, Line& line) {
    io_uring_sqe& receive = ask(IORING_OP_RECV, line.socket->fd(), markOf(Kind::receive, slot, line.holder));
    receive.flags = IOSQE_BUFFER_SELECT;
    receive.ioprio = IORING_RECV_MULTISHOT;
    receive.buf_group = UringBuffers::group;
    line.receive = Standing::up;
    standing_++;
  }

  // It is told once for each change, so one that doesn't go away isn't told again and again.
  void askToPoll(uint32_t slot, Line& line, uint16_t events) {
    io_uring_sqe& poll = ask(IORING_OP_POLL_ADD, line.socket->fd(), markOf(Kind::poll, slot, line.holder));
    poll.len = IORING_POLL_ADD_MULTI;
    poll.poll32_events = events;
    line.poll = Standing::up;
    line.polled = events;
    standing_++;
  }

  void cancel(uint64_t mark) {
    io_uring_sqe& cancel = ask(IORING_OP_ASYNC_CANCEL, -1, markOf(Kind::cancel));
    cancel.addr = mark;
    cancel.flags = IOSQE_CQE_SKIP_SUCCESS;
  }

  void list(uint32_t slot) {
    if (std::exchange(lines_[slot].isListed, true)) return;
    listed_.push_back(slot);
  }

  // One send for each peer, since a second one would be tried even if the first had not found room for all. None of them waits for its
  // peer (MSG_DONTWAIT), so all are done, and their bytes no longer needed, when the call returns. Only those are answered that didn't find
  // room for all (MSG_WAITALL makes that a failure), so the others wake nobody. Returns whether somebody is to hear of what has left.
  bool dispatch() {
    bool isAwaited = false;
    for (const uint32_t slot : parcels_) {
      const Line& line = lines_[slot];
      if (line.socket == nullptr) continue;
      Parcel& parcel = line.socket->parcel;
      if (parcel.isEmpty() || parcel.isUnderWay) continue;
      parcel.isUnderWay = true;
      underWay_.push_back(slot);
      isAwaited = isAwaited || line.socket->isAwaited();
      const bool isOne = parcel.pieces() == 1;
      io_uring_sqe& send = ask(isOne ? IORING_OP_SEND : IORING_OP_SENDMSG, line.socket->fd(),
                               markOf(Kind::send, slot, line.holder));
      send.addr = reinterpret_cast<uint64_t>(isOne ? parcel.first().iov_base : parcel.message());
      send.len = isOne ? static_cast<uint32_t>(parcel.first().iov_len) : 1;
      send.flags = IOSQE_CQE_SKIP_SUCCESS;
      send.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_WAITALL;
    }
    parcels_.clear();
    return isAwaited;
  }

  // Asks for what has come to be wanted otherwise. It comes behind the sends, and so after them.
  void settle() {
    for (const uint32_t slot : std::exchange(listed_, {})) {
      Line& line = lines_[slot];
      line.isListed = false;
      if (line.socket != nullptr) settle(slot, line);
    }
  }

  void settle(uint32_t slot, Line& line) {
    const Wants wants = line.wants;
    // Who isn't read must be watched all the same: it may be gone.
    const bool isWatched = !line.isOver && (!wants.reading || wants.writing);
    const uint16_t events = wants.writing ? POLLOUT : 0;
    if (line.poll == Standing::up && (!isWatched || line.polled != events))
      end(line.poll, markOf(Kind::poll, slot, line.holder));
    else if (line.poll == Standing::none && isWatched) askToPoll(slot, line, events);
    if (line.isOver) return;
    if (line.receive == Standing::up && !wants.reading) end(line.receive, markOf(Kind::receive, slot, line.holder));
    else if (line.receive == Standing::none && wants.reading) askToReceive(slot, line);
  }

  void end(Standing& standing, uint64_t mark) {
    standing = Standing::ending;
    cancel(mark);
  }

  void exchange(unsigned least) {
    queues_.wait(least, [this](const Completion& answer) { answers_.push_back(answer); });
  }

  // ---- What the kernel tells

  // What was sent has left, unless the kernel says otherwise.
  void arrive(WireListener& listener) {
    for (const Completion& answer : answers_) {
      Line* line = kindOf(answer) == Kind::send ? lineOf(answer) : nullptr;
      if (line == nullptr) continue;
      line->socket->sent(answer.result);
      if (line->socket->queuedBytes() > 0) listener.waits(line->socket->slot);
    }
    for (const uint32_t slot : underWay_)
      if (Socket* socket = lines_[slot].socket; socket != nullptr && socket->parcel.isUnderWay)
        socket->sent(static_cast<ssize_t>(socket->parcel.bytes()));
    underWay_.clear();
  }

  // What was received in the turn before: by now it has been understood, and what was passed on has left.
  void recycle() {
    if (used_.empty()) return;
    for (const uint16_t id : used_) buffers_.giveBack(id);
    used_.clear();
    buffers_.publish();
  }

  void tell(const Completion& answer, WireListener& listener) {
    const Kind kind = kindOf(answer);
    if (kind == Kind::wake) {
      askForWaking();
      listener.woken();
    }
    if (kind == Kind::tick) askForTick();
    if (kind != Kind::receive && kind != Kind::poll) return;
    const bool isLast = count(answer);
    const bool hasBuffer = (answer.flags & IORING_CQE_F_BUFFER) != 0;
    const auto id = static_cast<uint16_t>(answer.flags >> IORING_CQE_BUFFER_SHIFT);
    if (hasBuffer) used_.push_back(id);
    Line* line = lineOf(answer);
    if (line == nullptr) return;
    if (isLast) {
      (kind == Kind::receive ? line->receive : line->poll) = Standing::none;
      list(line->socket->slot);
    }
    if (kind == Kind::poll) polled(*line->socket, answer.result, listener);
    else if (answer.result > 0 && hasBuffer)
      received(*line->socket, {buffers_.at(id), static_cast<std::size_t>(answer.result)}, listener);
    else ended(*line->socket, answer.result, listener);
  }

  // Returns whether it is the last that is heard of the request.
  bool count(const Completion& answer) {
    const Kind kind = kindOf(answer);
    const bool isLast = (answer.flags & IORING_CQE_F_MORE) == 0;
    if (isLast && (kind == Kind::receive || kind == Kind::poll)) standing_--;
    return isLast;
  }

  void polled(Socket& socket, int32_t events, WireListener& listener) {
    if (events < 0) return;
    const uint32_t slot = socket.slot;
    if ((events & POLLOUT) != 0) listener.writable(slot);
    if ((events & (POLLHUP | POLLERR)) != 0) listener.hungUp(slot);
  }

  // Until the kernel has heard that a socket isn't to be read some may still come of it, which waits in its order.
  void received(Socket& socket, Chunk chunk, WireListener& listener) {
    socket.heard();
    if (socket.hasLeftover || !socket.wantsRead()) return socket.keep(chunk.bytes, chunk.count);
    came_ = chunk;
    listener.readable(socket.slot);
    came_ = {};
  }

  void ended(Socket& socket, int32_t result, WireListener& listener) {
    // No buffer was left, or it was cancelled: it goes on when it is wanted.
    if (result == -ENOBUFS || result == -ECANCELED || result == -EAGAIN || result == -EINTR) {
      if (socket.isHungUp()) socket.wantMore();
      return;
    }
    if (result < 0) socket.hangUp();
    socket.isAtEnd = true;
    socket.wantMore();
    listener.readable(socket.slot);
  }

  UringQueues queues_;
  UringBuffers buffers_;
  Arena copies_;
  std::vector<Line> lines_;
  std::vector<uint32_t> listed_;
  std::vector<uint32_t> parcels_;
  std::vector<uint32_t> underWay_;
  std::vector<Completion> answers_;
  std::vector<uint16_t> used_;
  Chunk came_;
  // Requests of sockets that the kernel still has.
  std::size_t standing_ = 0;
  uint64_t wakes_ = 0;
  __kernel_timespec idle_{0, idleMs * 1000000LL};
};

}  // namespace

std::unique_ptr<Wire> makeUring() { return std::make_unique<Uring>(); }

}  // namespace live

#else

namespace live {

std::unique_ptr<Wire> makeUring() { return nullptr; }

}  // namespace live

#endif
