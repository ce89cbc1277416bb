#include "loop.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>

#include <limits>
#include <utility>

namespace live {

namespace {

constexpr uint64_t wakerMark = UINT64_MAX;
constexpr int mostEvents = 256;
// The loop turns as often as this, ms, for its timers alone.
constexpr int idleMs = 250;
constexpr double catchUpEveryMs = 1000;
// By how much a sleep may be longer than asked for; the system's own 50 us would be a tenth of a tick.
constexpr unsigned long timerSlackNs = 1000;

Violation judge(const Socket& socket, const Frame& frame) {
  if (frame.isMasked == socket.options.isClient)
    return frame.isMasked ? Violation::maskPresent : Violation::maskMissing;
  return frame.isControl() ? Violation::none : socket.message.check(frame);
}

}  // namespace

Loop::Loop(const LoopMemory& memory, double clockOffsetMs, std::function<void()> wake, Gathering gathering)
    : memory_(memory),
      clockOffsetMs_(clockOffsetMs),
      events_(std::move(wake)),
      host_{-1, wheel_, events_, Board(memory.board), masks_, 0, {}, {}},
      ring_(memory.ring, memory.ringBytes, memory.sequence),
      counters_{&memory.counters[0], &memory.counters[1], &memory.counters[2],
                &memory.counters[3], &memory.counters[4], &memory.counters[5]},
      totals_{&memory.counters[6], &memory.counters[7], host_.board.behind()},
      ringUsed_(&memory.counters[8]),
      latencyToBot_(memory.latencyToBot),
      latencyToProvider_(memory.latencyToProvider),
      delay_(memory.delay),
      sockets_(mostSockets),
      read_(readBytes),
      providerShare_(std::numeric_limits<double>::infinity()),
      gathering_(gathering) {
  putCell(&memory.counters[9], static_cast<double>(ring_.capacity()));
}

Loop::~Loop() {
  join();
  if (poll_ >= 0) ::close(poll_);
  if (waker_ >= 0) ::close(waker_);
}

bool Loop::start() {
  poll_ = host_.poll = epoll_create1(EPOLL_CLOEXEC);
  waker_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = wakerMark;
  if (poll_ < 0 || waker_ < 0 || epoll_ctl(poll_, EPOLL_CTL_ADD, waker_, &event) != 0) return false;
  // Signals are the process's main thread's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto body = [](void* loop) -> void* {
    prctl(PR_SET_TIMERSLACK, timerSlackNs, 0UL, 0UL, 0UL);
    static_cast<Loop*>(loop)->run();
    return nullptr;
  };
  isRunning_ = pthread_create(&thread_, nullptr, body, this) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (isRunning_) pthread_setname_np(thread_, "reelay-frames");
  return isRunning_;
}

bool Loop::add(uint32_t slot, int fd, const SocketOptions& options, Bytes input) {
  if (!isRunning_ || slot >= mostSockets) return false;
  const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) return false;
  auto socket = std::make_shared<Socket>(host_, slot, own, options);
  epoll_event event{};
  // A connection that breaks before the thread has the socket is told of once, and again when it has: it would turn over that, and in
  // real time keep this thread from handing the socket over.
  event.events = Socket::untilBegun;
  event.data.u64 = slot;
  if (epoll_ctl(poll_, EPOLL_CTL_ADD, own, &event) != 0) return false;
  socket->input = std::move(input);
  Command added{CommandKind::add, slot};
  added.socket = std::move(socket);
  command(std::move(added));
  return true;
}

void Loop::command(Command command) {
  if (!commands_.push(std::move(command))) return;
  const uint64_t one = 1;
  while (::write(waker_, &one, sizeof one) < 0 && errno == EINTR) continue;
}

void Loop::join() {
  if (!isRunning_) return;
  command({CommandKind::stop});
  pthread_join(thread_, nullptr);
  isRunning_ = false;
}

double Loop::clockMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

void Loop::run() {
  keptMs_ = caughtUpMs_ = turnMs_ = nowMs();
  while (!isStopping_) turn();
  for (auto& socket : sockets_) {
    const std::shared_ptr<Socket> held = socket;
    if (held != nullptr) finish(*held);
  }
  gone_.clear();
  events_.push({EventKind::stopped, 0});
  events_.handOver();
}

void Loop::turn() {
  epoll_event events[mostEvents];
  const double lastMs = turnMs_;
  const bool isBehind = !host_.ready.empty() || hasMore_;
  const bool hasGathered = !isBehind && gathering_.wait();
  const int count = epoll_wait(poll_, events, mostEvents, isBehind || hasGathered ? 0 : idleMs);
  hasMore_ = count == mostEvents;
  turnMs_ = nowMs();
  sinceMs_ = isBehind || hasGathered ? lastMs : turnMs_;
  keepTime();
  listed_.swap(host_.ready);
  for (int i = 0; i < count; i++) {
    const uint64_t mark = events[i].data.u64;
    if (mark == wakerMark) {
      uint64_t times;
      while (::read(waker_, &times, sizeof times) < 0 && errno == EINTR) continue;
      // In its place among the others, which is the order in which things came, but for sockets that the last look found: they come first.
      for (Command& command : commands_.take()) obey(command);
      continue;
    }
    Socket* socket = at(mark);
    if (socket == nullptr) continue;
    const uint32_t told = events[i].events;
    if ((told & EPOLLOUT) != 0) write(*socket);
    if ((told & (EPOLLHUP | EPOLLERR)) != 0) socket->hangUp();
    else if ((told & EPOLLIN) != 0) serve(*socket);
  }
  for (const uint32_t slot : listed_)
    if (Socket* socket = at(slot); socket != nullptr && (socket->hasLeftover || socket->isHungUp())) serve(*socket);
  listed_.clear();
  for (const uint32_t slot : std::exchange(host_.drained, {}))
    if (Socket* socket = at(slot)) socket->tellDrained();
  events_.handOver();
  gone_.clear();
}

// A thread that stood still, with its machine, has heard nobody meanwhile and could write to nobody.
void Loop::keepTime() {
  host_.awakeMs += std::min(turnMs_ - keptMs_, longestTurnMs);
  keptMs_ = turnMs_;
  wheel_.advance(host_.awakeMs, [this](Timer& timer) {
    auto& socket = *static_cast<Socket*>(timer.owner);
    if (socket.look() == Socket::Verdict::isOver) finish(socket);
  });
  if (turnMs_ - caughtUpMs_ < catchUpEveryMs) return;
  caughtUpMs_ = turnMs_;
  catchUp();
}

void Loop::catchUp() {
  for (const uint32_t number : std::exchange(behind_, {})) {
    const auto found = links_.find(number);
    if (found == links_.end()) continue;
    Link& link = *found->second;
    link.isListed = !link.tap.tellDrops(turnMs_);
    if (link.isListed) behind_.push_back(number);
  }
  ring_.publish();
  putCell(ringUsed_, static_cast<double>(ring_.usedBytes()));
}

// ---- What JavaScript wants

void Loop::obey(Command& command) {
  if (command.kind == CommandKind::add) return addSocket(command);
  if (command.kind == CommandKind::stop) isStopping_ = true;
  if (command.kind == CommandKind::share) providerShare_ = command.amount;
  if (command.kind == CommandKind::unlink) {
    const auto found = links_.find(command.number);
    if (found != links_.end()) unlink(found->second->provider);
    return;
  }
  if (command.kind == CommandKind::link) return link(command);
  Socket* socket = at(command.slot);
  // It may have ended while this was on its way.
  if (socket == nullptr) return;
  switch (command.kind) {
    case CommandKind::send:
      socket->send(std::move(command.bytes));
      if (socket->link != nullptr) holdBack(*socket->link);
      return;
    case CommandKind::close:
      unlink(*socket);
      return socket->close(command.bytes);
    case CommandKind::terminate:
      return finish(*socket);
    case CommandKind::pause:
      socket->isPaused = true;
      return socket->wantMore();
    case CommandKind::resume:
      socket->isPaused = false;
      return socket->wantMore();
    case CommandKind::handled:
      return socket->handled(command.number, static_cast<std::size_t>(command.amount));
    default:
      return;
  }
}

void Loop::addSocket(Command& command) {
  Socket& socket = *command.socket;
  sockets_[command.slot] = std::move(command.socket);
  socket.begin();
  socket.hasLeftover = !socket.input.empty();
  socket.wantMore();
}

void Loop::link(const Command& command) {
  Socket* provider = at(command.slot);
  Socket* bot = at(command.other);
  const bool canBe = provider != nullptr && bot != nullptr && provider->link == nullptr && bot->link == nullptr;
  if (!canBe || !provider->isOpen() || !bot->isOpen()) {
    events_.push({EventKind::unlinked, command.number});
    return;
  }
  auto link = std::make_unique<Link>(command.number, *command.options, *provider, *bot, ring_, totals_);
  provider->link = bot->link = link.get();
  links_.emplace(command.number, std::move(link));
}

void Loop::unlink(Socket& socket) {
  if (socket.link == nullptr) return;
  Link& link = *socket.link;
  ring_.publish();
  const Tap::Drops drops = link.tap.takeDrops();
  Socket& bot = link.bot;
  link.provider.link = bot.link = nullptr;
  bot.isHeldBack = false;
  events_.push({EventKind::unlinked, link.number, drops.records, drops.sinceMs});
  links_.erase(link.number);
  bot.wantMore();
}

// ---- What the sockets say

void Loop::serve(Socket& socket) {
  if (socket.isGone() || !socket.wantsRead()) return;
  arrivalMs_ = nowMs();
  run_.frames = 0;
  read(socket);
  if (run_.frames > 0) {
    const double sentMs = nowMs();
    const auto frames = static_cast<double>(run_.frames);
    (socket.options.isClient ? latencyToProvider_ : latencyToBot_).observe(sentMs - arrivalMs_, frames);
    delay_.observe(sentMs - sinceMs_, frames);
  }
  if (socket.isAtEnd && !socket.hasLeftover) finish(socket);
  socket.wantMore();
}

// What was read before comes first; it is joined by what comes now unless it waits only for its turn.
void Loop::read(Socket& socket) {
  const std::size_t count = socket.hasLeftover || socket.isAtEnd ? 0 : receive(socket);
  Bytes& input = socket.input;
  if (input.empty()) {
    const std::size_t used = understand(socket, read_.data(), count);
    if (used < count) input.assign(read_.data() + used, read_.data() + count);
    return;
  }
  input.insert(input.end(), read_.data(), read_.data() + count);
  socket.inputAt += understand(socket, input.data() + socket.inputAt, input.size() - socket.inputAt);
  if (socket.inputAt == input.size()) {
    // Most reads end with a frame: what an incomplete one needed isn't kept for the next.
    Bytes().swap(input);
    socket.inputAt = 0;
  } else if (socket.inputAt > input.size() / 2) {
    input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(socket.inputAt));
    socket.inputAt = 0;
  }
}

std::size_t Loop::receive(Socket& socket) {
  ssize_t count;
  do count = recv(socket.fd(), read_.data(), read_.size(), MSG_DONTWAIT);
  while (count < 0 && errno == EINTR);
  if (count > 0) {
    socket.heard();
    hasMore_ = hasMore_ || static_cast<std::size_t>(count) == read_.size();
    return static_cast<std::size_t>(count);
  }
  // A connection that is over has nothing more to wait for.
  if (count == 0 || errno != EAGAIN || socket.isHungUp()) socket.isAtEnd = true;
  return 0;
}

// Returns how much of it was whole frames.
std::size_t Loop::understand(Socket& socket, const uint8_t* bytes, std::size_t count) {
  std::size_t begin = 0;
  socket.hasLeftover = false;
  for (unsigned messages = 0; begin < count && !socket.isGone(); messages++) {
    if (socket.isDeaf()) {
      begin = count;
      break;
    }
    if (messages == mostMessages || !socket.wantsRead()) {
      socket.hasLeftover = true;
      break;
    }
    Frame frame;
    Violation violation = Violation::none;
    const Parsed parsed = readHead(bytes + begin, count - begin, frame, violation);
    if (parsed == Parsed::partial) break;
    if (parsed == Parsed::whole) violation = judge(socket, frame);
    if (violation != Violation::none) {
      fail(socket, violation);
      continue;
    }
    const std::size_t frameBytes = frame.headBytes + static_cast<std::size_t>(frame.payloadBytes);
    if (frameBytes > count - begin) break;
    take(socket, frame, bytes + begin, frameBytes);
    begin += frameBytes;
  }
  flush(socket);
  return begin;
}

void Loop::take(Socket& socket, const Frame& frame, const uint8_t* bytes, std::size_t frameBytes) {
  const uint8_t* payload = bytes + frame.headBytes;
  if (frame.isControl()) return control(socket, frame, payload);
  if (frame.isFinal && socket.isForwarding()) {
    Link& link = *socket.link;
    if (link.forward(socket, frame, bytes, frameBytes, arrivalMs_, scratch_, counters_, events_, run_)) {
      if (link.tap.isBehind() && !link.isListed) behind_.push_back(link.number);
      link.isListed = link.tap.isBehind() || link.isListed;
      return;
    }
  }
  if (socket.message.add(frame, payload)) socket.hand(socket.message.take(), socket.message.isBinary(), arrivalMs_);
}

void Loop::control(Socket& socket, const Frame& frame, const uint8_t* payload) {
  uint8_t plain[longestControl];
  const auto count = static_cast<std::size_t>(frame.payloadBytes);
  applyMask(plain, payload, count, frame.mask);
  if (frame.opcode == Opcode::ping && socket.queuedBytes() < Socket::mostBeforePong)
    socket.control(Opcode::pong, plain, count);
  if (frame.opcode != Opcode::close) return;
  const auto code = static_cast<uint16_t>(count >= 2 ? plain[0] << 8 | plain[1] : Socket::noCode);
  if (count == 1) return fail(socket, Violation::closePayload);
  if (count >= 2 && !isCloseCode(code)) return fail(socket, Violation::closeCode);
  flush(socket);
  unlink(socket);
  socket.closeArrived(code, arrivalMs_);
}

// Sends what has been gathered, then shows what it tells the tap.
void Loop::flush(Socket& from) {
  if (from.link == nullptr) return;
  run_.flush(from.link->otherOf(from));
  ring_.publish();
  holdBack(*from.link);
}

// ---- What waits

double Loop::providerLimit(const Link& link) const {
  return std::min(static_cast<double>(link.options.providerBytes), providerShare_);
}

// The bot's socket is read no faster than the provider's is written.
void Loop::holdBack(Link& link) {
  if (link.bot.isHeldBack || static_cast<double>(link.provider.queuedBytes()) <= providerLimit(link)) return;
  link.bot.isHeldBack = true;
  addToCell(counters_.pauses, 1);
  link.bot.wantMore();
}

void Loop::write(Socket& socket) {
  socket.flush();
  Link* link = socket.link;
  if (link == nullptr || !link->bot.isHeldBack) return;
  if (static_cast<double>(link->provider.queuedBytes()) > providerLimit(*link) / 2) return;
  link->bot.isHeldBack = false;
  link->bot.wantMore();
}

void Loop::fail(Socket& socket, Violation violation) {
  flush(socket);
  unlink(socket);
  socket.fail(violation);
}

void Loop::finish(Socket& socket) {
  if (socket.isGone()) return;
  unlink(socket);
  socket.finish(nowMs());
  gone_.push_back(std::move(sockets_[socket.slot]));
}

}  // namespace live
