// The loop over real sockets: what it passes on, what it hands over and in which order, what it does to peers that close, stall or lie.
// Each test has a loop of its own; peers are the other ends of TCP connections.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

#include "../../../native/live/loop.h"
#include "check.h"

using namespace live;

namespace {

constexpr double patienceMs = 8000;

// How the loops of all tests look for what has arrived.
Gathering gathering;

// A pair of connected TCP sockets: `near` for the loop, `far` for its peer.
struct Pair {
  int near = -1;
  int far = -1;

  explicit Pair(int receiveBytes = 0) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address);
    listen(listener, 1);
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
    far = socket(AF_INET, SOCK_STREAM, 0);
    if (receiveBytes > 0) setsockopt(far, SOL_SOCKET, SO_RCVBUF, &receiveBytes, sizeof receiveBytes);
    connect(far, reinterpret_cast<sockaddr*>(&address), sizeof address);
    near = accept(listener, nullptr, nullptr);
    const int on = 1;
    setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::close(listener);
  }
  ~Pair() {
    if (near >= 0) ::close(near);
    if (far >= 0) ::close(far);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void say(const Bytes& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t count = ::send(far, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) return;
      sent += static_cast<std::size_t>(count);
    }
  }

  // So many bytes, or what came in time.
  Bytes hear(std::size_t count) {
    Bytes heard;
    while (heard.size() < count) {
      pollfd wanted{far, POLLIN, 0};
      if (poll(&wanted, 1, static_cast<int>(patienceMs)) <= 0) break;
      uint8_t some[4096];
      const ssize_t got = recv(far, some, std::min(sizeof some, count - heard.size()), 0);
      if (got <= 0) break;
      heard.insert(heard.end(), some, some + got);
    }
    return heard;
  }

  bool isAtEnd() {
    pollfd wanted{far, POLLIN, 0};
    uint8_t byte;
    return poll(&wanted, 1, static_cast<int>(patienceMs)) > 0 && recv(far, &byte, 1, 0) <= 0;
  }
};

constexpr uint8_t someMask[4] = {9, 8, 7, 6};

Bytes frame(const std::string& text, bool isMasked, Opcode opcode = Opcode::text) {
  return frameOf(opcode, reinterpret_cast<const uint8_t*>(text.data()), text.size(), isMasked ? someMask : nullptr);
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::string media(int number, const char* stream = "MZ1") {
  return R"({"event":"media","streamSid":")" + std::string(stream) +
         R"(","media":{"track":"inbound","timestamp":")" + std::to_string(number * 20) + R"(","payload":"TWFu"}})";
}

std::string mark(int number) {
  return R"({"event":"mark","streamSid":"MZ1","mark":{"name":")" + std::to_string(number) + R"("}})";
}

// A record as the recorder sees it.
struct Record {
  uint16_t kind;
  uint8_t track;
  double providerMs;
  double number;
  std::string payload;
};

// A loop, its memory, and what it has told.
class Stage {
 public:
  explicit Stage(std::size_t ringCapacity = 1 << 20, std::size_t sockets = 64)
      : ring_((64 + ringCapacity) / 8),
        ringBytes_(64 + ringCapacity),
        board_(Board::perLoop + 2 * sockets),
        counters_(16),
        histograms_(3 * (Histogram::buckets + 1)) {
    double* cells = histograms_.data();
    const LoopMemory memory{reinterpret_cast<uint8_t*>(ring_.data()), ringBytes_, &sequence_, board_.data(),
                            counters_.data(), cells, cells + Histogram::buckets + 1,
                            cells + 2 * (Histogram::buckets + 1)};
    loop = std::make_unique<Loop>(memory, 0, [this] {
      std::unique_lock<std::mutex> lock(mutex_);
      isTold_ = true;
      told_.notify_one();
      released_.wait(lock, [this] { return !isHeld_; });
    }, gathering);
    CHECK(loop->start());
  }

  ~Stage() { loop->join(); }

  bool add(uint32_t slot, Pair& pair, bool isClient, Bytes input = {}, std::size_t most = 65536, double stalledMs = 60000) {
    const bool isAdded = loop->add(slot, pair.near, {isClient, most, 500, stalledMs}, std::move(input));
    // As Node's own descriptor, which goes as soon as there is another.
    if (isAdded) ::close(std::exchange(pair.near, -1));
    return isAdded;
  }

  void link(uint32_t number, std::size_t botBytes = 1 << 20, std::size_t providerBytes = 1 << 24, bool isMuted = false) {
    Command command{CommandKind::link, 1, 2, number};
    command.options = std::make_shared<LinkOptions>(LinkOptions{Framing::twilio, "MZ1", Track::caller, 2, true, 7, 8, isMuted,
                                                                Loop::clockMs(), 3600000, botBytes, providerBytes});
    loop->command(std::move(command));
  }

  void send(uint32_t slot, const std::string& text, bool isMasked) {
    Command command{CommandKind::send, slot};
    command.bytes = frame(text, isMasked);
    loop->command(std::move(command));
  }

  void close(uint32_t slot, bool isMasked, const std::string& payload = "\x03\xe8") {
    Command command{CommandKind::close, slot};
    command.bytes = frame(payload, isMasked, Opcode::close);
    loop->command(std::move(command));
  }

  void tell(CommandKind kind, uint32_t slot) { loop->command({kind, slot}); }

  // The loop stands still while `say` is called, and meets all of what that says in one turn.
  void inOneTurn(const std::function<void()>& say) {
    std::unique_lock<std::mutex> lock(mutex_);
    isTold_ = false;
    isHeld_ = true;
    // It wakes nobody while an event waits.
    for (Event& event : loop->takeEvents()) events_.push_back(std::move(event));
    // Sockets that don't exist can't be linked, which is an event.
    loop->command({CommandKind::link, 0, 0});
    const auto until = std::chrono::milliseconds(static_cast<int>(patienceMs));
    CHECK(told_.wait_for(lock, until, [this] { return isTold_; }));
    lock.unlock();
    say();
    lock.lock();
    isHeld_ = false;
    released_.notify_one();
  }

  void handled(const Event& message) {
    Command command{CommandKind::handled, message.slot};
    command.number = 1;
    command.amount = static_cast<double>(message.bytes.size());
    loop->command(std::move(command));
  }

  // The next event, of a kind that isn't passed over.
  Event next(EventKind kind) {
    for (;;) {
      while (at_ < events_.size()) {
        Event& event = events_[at_++];
        if (event.kind == kind) return event;
        others_.push_back(event);
      }
      events_.clear();
      at_ = 0;
      std::unique_lock<std::mutex> lock(mutex_);
      const auto until = std::chrono::milliseconds(static_cast<int>(patienceMs));
      if (!told_.wait_for(lock, until, [this] { return isTold_; })) {
        std::printf("waited in vain for event %d\n", static_cast<int>(kind));
        CHECK(false);
        return {kind, 0};
      }
      isTold_ = false;
      lock.unlock();
      events_ = loop->takeEvents();
    }
  }

  std::string nextMessage() {
    const Event event = next(EventKind::message);
    handled(event);
    return std::string(event.bytes.begin(), event.bytes.end());
  }

  // Everything that lies in the ring.
  std::vector<Record> records() {
    std::vector<Record> found;
    const auto* memory = reinterpret_cast<const uint8_t*>(ring_.data());
    auto* cells = reinterpret_cast<int32_t*>(ring_.data());
    const auto written = static_cast<uint32_t>(__atomic_load_n(&cells[0], __ATOMIC_ACQUIRE));
    uint32_t read = static_cast<uint32_t>(cells[1]);
    const std::size_t capacity = ringBytes_ - 64;
    while (read != written) {
      const std::size_t offset = static_cast<std::size_t>(read) * 8 % capacity;
      const uint8_t* at = memory + 64 + offset;
      uint32_t length;
      std::memcpy(&length, at, 4);
      if (length == 0xffffffff) {
        read += static_cast<uint32_t>((capacity - offset) / 8);
        continue;
      }
      Record record;
      std::memcpy(&record.kind, at + 4, 2);
      record.track = at[6];
      std::memcpy(&record.providerMs, at + 24, 8);
      std::memcpy(&record.number, at + 32, 8);
      record.payload.assign(reinterpret_cast<const char*>(at) + recordHeadBytes, length - recordHeadBytes);
      found.push_back(std::move(record));
      read += static_cast<uint32_t>((length + 7) / 8);
    }
    __atomic_store_n(&cells[1], static_cast<int32_t>(read), __ATOMIC_RELEASE);
    return found;
  }

  double counter(int index) { return cellOf(&counters_[static_cast<std::size_t>(index)]); }
  double board(uint32_t index) { return cellOf(&board_[index]); }
  uint64_t takeNumber() { return __atomic_add_fetch(&sequence_, 1, __ATOMIC_ACQ_REL); }

  // Waits for something that no event tells.
  void until(const std::function<bool()>& holds, const char* what) {
    const double endMs = Loop::clockMs() + patienceMs;
    while (!holds()) {
      if (Loop::clockMs() > endMs) {
        std::printf("waited in vain for %s\n", what);
        CHECK(false);
        return;
      }
      usleep(1000);
    }
  }

  std::unique_ptr<Loop> loop;
  const std::vector<Event>& others() const { return others_; }

 private:
  std::vector<uint64_t> ring_;
  const std::size_t ringBytes_;
  uint64_t sequence_ = 0;
  std::vector<double> board_;
  std::vector<double> counters_;
  std::vector<double> histograms_;
  std::mutex mutex_;
  std::condition_variable told_;
  std::condition_variable released_;
  bool isTold_ = false;
  bool isHeld_ = false;
  std::vector<Event> events_;
  std::size_t at_ = 0;
  std::vector<Event> others_;
};

// A provider and a bot that are linked.
struct Call {
  Pair provider;
  Pair bot;
  Stage stage;

  explicit Call(std::size_t ringCapacity = 1 << 20, std::size_t botBytes = 1 << 20, std::size_t providerBytes = 1 << 24,
                int receiveBytes = 0)
      : provider(receiveBytes), bot(receiveBytes), stage(ringCapacity) {
    CHECK(stage.add(1, provider, false));
    CHECK(stage.add(2, bot, true, {}, 16 << 20));
    stage.link(1, botBytes, providerBytes);
    settle();
  }

  // Waits until the loop has done what it was told: what is said next meets it so.
  void settle() {
    const std::string word = "settled";
    stage.send(1, word, false);
    CHECK(provider.hear(frame(word, false).size()) == frame(word, false));
  }
};

void passesOn() {
  Call call;
  const Bytes in = frame(media(1), true) + frame(media(2), true);
  call.provider.say(in);
  CHECK(call.bot.hear(in.size()) == in);
  const Bytes out = frame(media(3), false);
  call.bot.say(out);
  CHECK(call.provider.hear(out.size()) == out);
  std::vector<Record> records;
  call.stage.until(
      [&] {
        for (Record& record : call.stage.records()) records.push_back(std::move(record));
        return records.size() == 3;
      },
      "the records");
  for (std::size_t i = 0; i < records.size(); i++) {
    CHECK(records[i].kind == 3 && records[i].payload == "Man" && records[i].number == static_cast<double>(i + 1));
    CHECK(records[i].track == (i < 2 ? 1 : 5));
  }
  CHECK(records[1].providerMs == 40);
  CHECK(call.stage.counter(0) == 2);
}

// Of a recording that is paused nothing is kept but how long everything was; the frames go on as ever.
void mutes() {
  Call call;
  Command unlink{CommandKind::unlink};
  unlink.number = 1;
  call.stage.loop->command(std::move(unlink));
  call.stage.next(EventKind::unlinked);
  call.stage.link(2, 1 << 20, 1 << 24, true);
  call.settle();
  const Bytes in = frame(media(1), true);
  call.provider.say(in);
  CHECK(call.bot.hear(in.size()) == in);
  const Bytes out = frame(media(3), false);
  call.bot.say(out);
  CHECK(call.provider.hear(out.size()) == out);
  std::vector<Record> records;
  call.stage.until(
      [&] {
        for (Record& record : call.stage.records()) records.push_back(std::move(record));
        return records.size() == 2;
      },
      "the records");
  for (const Record& record : records) CHECK(record.kind == 16 && record.payload == std::string("\x03\0\0\0", 4));
  CHECK(records[0].track == 1 && records[0].providerMs == 20 && records[1].track == 5);
}

// Wherever a read ends, the same messages come.
void splits() {
  const Bytes whole = frame(media(1), true) + frame(mark(1), true) + frame("", true, Opcode::ping) + frame(media(2), true);
  for (std::size_t at = 0; at <= whole.size(); at += 7) {
    Pair provider;
    Stage stage;
    const auto middle = whole.begin() + static_cast<std::ptrdiff_t>(at);
    CHECK(stage.add(1, provider, false, Bytes(whole.begin(), middle)));
    provider.say(Bytes(middle, whole.end()));
    CHECK(stage.nextMessage() == media(1));
    CHECK(stage.nextMessage() == mark(1));
    CHECK(stage.nextMessage() == media(2));
    CHECK(provider.hear(2) == frame("", false, Opcode::pong));
  }
}

// What JavaScript has in hand comes before all that follows it, however long it takes.
void keepsOrder() {
  Call call;
  call.provider.say(frame(media(1), true) + frame(mark(1), true) + frame(media(2), true) + frame(media(3), true));
  const Event first = call.stage.next(EventKind::message);
  CHECK(std::string(first.bytes.begin(), first.bytes.end()) == mark(1));
  const uint64_t number = call.stage.takeNumber();
  CHECK(number == 2);
  for (const int which : {2, 3}) {
    const Event event = call.stage.next(EventKind::message);
    CHECK(std::string(event.bytes.begin(), event.bytes.end()) == media(which));
    call.stage.send(2, media(which), true);
    call.stage.handled(event);
  }
  call.stage.handled(first);
  call.settle();
  call.provider.say(frame(media(4), true));
  const Bytes heard = call.bot.hear(frame(media(1), true).size() * 4);
  Bytes expected = frame(media(1), true);
  CHECK(std::equal(expected.begin(), expected.end(), heard.begin()));
  expected = frame(media(4), true);
  CHECK(heard.size() > expected.size() && std::equal(expected.rbegin(), expected.rend(), heard.rbegin()));
  std::vector<Record> records;
  call.stage.until(
      [&] {
        for (Record& record : call.stage.records()) records.push_back(std::move(record));
        return records.size() == 2;
      },
      "the fourth");
  CHECK(records.back().number == 3);
}

void refusesOthers() {
  Call call;
  const std::string others[] = {media(1, "MZ2"), media(1, ""), "nonsense", "\xff\xfe", mark(1)};
  for (const std::string& text : others) {
    call.provider.say(frame(text, true));
    CHECK(call.stage.nextMessage() == text);
    call.bot.say(frame(text, false));
    CHECK(call.stage.nextMessage() == text);
  }
  Bytes fragment = frame(media(1), true);
  fragment[0] &= 0x7f;
  Bytes rest = frame("", true);
  rest[0] = 0x80;
  call.provider.say(fragment + rest);
  CHECK(call.stage.nextMessage() == media(1));
  call.provider.say(frame("abcd", true, Opcode::binary));
  CHECK(call.stage.nextMessage() == "abcd");
  CHECK(call.stage.records().empty() && call.stage.counter(0) == 0);
}

void violations() {
  const struct {
    Bytes bytes;
    Violation violation;
    uint16_t code;
  } table[] = {
      {frame("x", false), Violation::maskMissing, 1002},
      {{0xf1, 0x80, 0, 0, 0, 0}, Violation::reservedBits, 1002},
      {frame("x", true, Opcode::continuation), Violation::opcode, 1002},
      {frame("\x03", true, Opcode::close), Violation::closePayload, 1002},
      {frame("\x03\xed", true, Opcode::close), Violation::closeCode, 1002},
      {frame(std::string(70000, 'x'), true), Violation::messageTooLong, 1009},
      {{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, Violation::messageTooLong, 1009},
  };
  for (const auto& row : table) {
    Pair provider;
    Stage stage;
    CHECK(stage.add(1, provider, false));
    provider.say(row.bytes);
    CHECK(stage.next(EventKind::closing).a == static_cast<double>(row.violation));
    const Bytes heard = provider.hear(4);
    CHECK(heard.size() == 4 && heard[0] == 0x88 && (heard[2] << 8 | heard[3]) == row.code);
    CHECK(provider.isAtEnd());
    ::close(std::exchange(provider.far, -1));
    CHECK(stage.next(EventKind::closed).a == 1006);
  }
}

void closes() {
  Call call;
  call.provider.say(frame(media(1), true) + frame("\x03\xe9", true, Opcode::close));
  CHECK(call.stage.next(EventKind::unlinked).slot == 1);
  CHECK(call.stage.next(EventKind::closing).slot == 1);
  CHECK(call.bot.hear(frame(media(1), true).size()) == frame(media(1), true));
  CHECK(call.provider.hear(4) == frame("\x03\xe9", false, Opcode::close));
  ::close(std::exchange(call.provider.far, -1));
  CHECK(call.stage.next(EventKind::closed).a == 1001);
  // The bot is on its own from now on.
  call.bot.say(frame(media(2), false));
  CHECK(call.stage.nextMessage() == media(2));
  call.stage.close(2, true);
  call.bot.hear(8);
  call.bot.say(frame(media(3), false) + frame("\x03\xe8", false, Opcode::close));
  CHECK(call.stage.nextMessage() == media(3));
  CHECK(call.bot.isAtEnd());
  ::close(std::exchange(call.bot.far, -1));
  CHECK(call.stage.next(EventKind::closed).a == 1000);
}

void closeTimesOut() {
  Pair provider;
  Stage stage;
  CHECK(stage.add(1, provider, false));
  stage.close(1, false);
  CHECK(stage.next(EventKind::closed).a == 1006);
}

// Whoever is gone is still listened to up to its last word.
void breaks() {
  Call call;
  call.stage.tell(CommandKind::pause, 1);
  call.settle();
  call.provider.say(frame(media(1), true) + frame(mark(1), true));
  const linger now{1, 0};
  usleep(20000);
  setsockopt(call.provider.far, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  call.bot.say(frame(media(2), false));
  call.provider.hear(frame(media(2), false).size());
  ::shutdown(call.provider.far, SHUT_WR);
  usleep(20000);
  ::close(std::exchange(call.provider.far, -1));
  call.bot.say(frame(media(3), false));
  // What is for nobody any more is JavaScript's, too; the two sockets are in no order.
  const std::string first = call.stage.nextMessage();
  CHECK(first == mark(1) || (first == media(3) && call.stage.nextMessage() == mark(1)));
  CHECK(call.bot.hear(frame(media(1), true).size()) == frame(media(1), true));
  CHECK(call.stage.next(EventKind::closed).a == 1006);
}

void dropsForSlowBots() {
  Call call(1 << 22, 4096, 1 << 24, 4096);
  const Bytes one = frame(media(1) + std::string(2000, ' '), true);
  int said = 0;
  while (call.stage.counter(4) < 10 && said < 20000) {
    call.provider.say(one);
    said++;
  }
  CHECK(call.stage.next(EventKind::overflow).a == 1);
  call.stage.until([&] { return call.stage.counter(0) == said; }, "all of it");
  const auto kept = static_cast<std::size_t>(said - call.stage.counter(4));
  CHECK(call.bot.hear(kept * one.size()).size() == kept * one.size());
  call.provider.say(one);
  CHECK(call.stage.next(EventKind::overflow).a == 0);
  CHECK(call.bot.hear(one.size()) == one);
  std::size_t records = 0;
  const auto all = static_cast<std::size_t>(said) + 1;
  call.stage.until([&] { return (records += call.stage.records().size()) == all; }, "the records");
}

void holdsBotsBack() {
  Call call(1 << 22, 1 << 20, 8192, 4096);
  const Bytes one = frame(media(1) + std::string(30000, ' '), false);
  int flags = fcntl(call.bot.far, F_GETFL);
  fcntl(call.bot.far, F_SETFL, flags | O_NONBLOCK);
  std::size_t said = 0;
  const auto push = [&] {
    std::size_t before = said;
    for (;;) {
      const std::size_t at = said % one.size();
      const ssize_t count = ::send(call.bot.far, one.data() + at, one.size() - at, MSG_NOSIGNAL);
      if (count <= 0) break;
      said += static_cast<std::size_t>(count);
    }
    return said > before;
  };
  // Until the sockets are full on both sides.
  for (int idle = 0; idle < 50; idle++) {
    if (push()) idle = 0;
    usleep(2000);
  }
  CHECK(call.stage.counter(5) == 1);
  CHECK(call.stage.board(1) > 8192);
  const std::size_t whole = said / one.size();
  std::size_t heard = 0;
  while (heard < whole * one.size()) {
    const std::size_t some = call.provider.hear(std::min<std::size_t>(one.size(), whole * one.size() - heard)).size();
    if (some == 0) break;
    heard += some;
  }
  CHECK(heard == whole * one.size());
}

// All providers share a budget, which may leave each less than its own limit.
void keepsToTheShare() {
  Call call(1 << 22, 1 << 20, 1 << 24, 4096);
  Command share{CommandKind::share};
  share.amount = 65536;
  call.stage.loop->command(std::move(share));
  call.settle();
  const Bytes one = frame(media(1) + std::string(30000, ' '), false);
  const int flags = fcntl(call.bot.far, F_GETFL);
  fcntl(call.bot.far, F_SETFL, flags | O_NONBLOCK);
  std::size_t said = 0;
  call.stage.until(
      [&] {
        const std::size_t at = said % one.size();
        const ssize_t count = ::send(call.bot.far, one.data() + at, one.size() - at, MSG_NOSIGNAL);
        if (count > 0) said += static_cast<std::size_t>(count);
        return call.stage.counter(5) == 1;
      },
      "the bot to be held back");
  CHECK(call.stage.board(1) > 65536 && call.stage.board(1) < 65536 + 2 * 65536);
  CHECK(call.stage.board(2) == 1);
}

void stalls() {
  Pair provider(4096);
  Stage stage;
  CHECK(stage.add(1, provider, false, {}, 65536, 600));
  for (int i = 0; i < 400; i++) stage.send(1, std::string(30000, 'x'), false);
  CHECK(stage.next(EventKind::stalled).a > 0);
  stage.tell(CommandKind::terminate, 1);
  CHECK(stage.next(EventKind::closed).a == 1006);
  double drained = 0;
  for (const Event& event : stage.others())
    if (event.kind == EventKind::drained) drained += event.a;
  CHECK(drained == 400);
  CHECK(stage.board(1) == 0 && stage.board(2) == 0);
}

// A call that says thousands of messages at once doesn't keep the others waiting for all of them.
void isFair() {
  Pair flood;
  Pair other;
  Stage stage;
  CHECK(stage.add(1, flood, false));
  CHECK(stage.add(3, other, false));
  stage.tell(CommandKind::pause, 1);
  stage.tell(CommandKind::pause, 3);
  stage.send(3, "paused", false);
  other.hear(8);
  Bytes many;
  for (int i = 0; i < 3000; i++) many = std::move(many) + frame("x", true, Opcode::pong);
  flood.say(many + frame(mark(1), true));
  other.say(frame(mark(2), true));
  stage.inOneTurn([&] {
    stage.tell(CommandKind::resume, 1);
    stage.tell(CommandKind::resume, 3);
  });
  CHECK(stage.nextMessage() == mark(2));
  CHECK(stage.nextMessage() == mark(1));
}

// What JavaScript doesn't come to isn't read without bound either.
void boundsWhatIsInHand() {
  Pair provider;
  Stage stage;
  CHECK(stage.add(1, provider, false));
  Bytes many;
  for (int i = 0; i < 1000; i++) many = std::move(many) + frame(std::to_string(i), true);
  provider.say(many);
  std::size_t messages = 0;
  for (; messages < Socket::mostInHand; messages++) stage.next(EventKind::message);
  usleep(50000);
  CHECK(stage.loop->takeEvents().empty());
  Command handled{CommandKind::handled, 1};
  handled.number = static_cast<uint32_t>(messages);
  handled.amount = 1e6;
  stage.loop->command(std::move(handled));
  const Event event = stage.next(EventKind::message);
  CHECK(std::string(event.bytes.begin(), event.bytes.end()) == std::to_string(messages));
}

void tellsDrops() {
  Call call(1024);
  for (int i = 0; i < 30; i++) call.provider.say(frame(media(i), true));
  call.stage.until([&] { return call.stage.counter(0) == 30; }, "all of it");
  const double kept = call.stage.counter(6);
  CHECK(call.stage.counter(7) == 30 - kept && call.stage.board(0) == 1);
  Command unlink{CommandKind::unlink};
  unlink.number = 1;
  call.stage.loop->command(std::move(unlink));
  CHECK(call.stage.next(EventKind::unlinked).a == 30 - kept);
  CHECK(call.stage.board(0) == 0);
}

void stops() {
  Call call;
  call.provider.say(frame(media(1), true));
  call.bot.hear(frame(media(1), true).size());
  call.stage.tell(CommandKind::stop, 0);
  CHECK(call.stage.next(EventKind::unlinked).slot == 1);
  CHECK(call.stage.next(EventKind::closed).slot == 1);
  CHECK(call.stage.next(EventKind::closed).slot == 2);
  call.stage.next(EventKind::stopped);
  CHECK(call.provider.isAtEnd() && call.bot.isAtEnd());
}

// One socket without a loop, so that time is told to it.
struct Clock {
  Pair pair;
  Wheel wheel;
  EventQueue events{[] {}};
  std::vector<double> board = std::vector<double>(Board::perLoop + 2 * 4);
  Masks masks;
  const int poll = epoll_create1(0);
  SocketHost host{poll, wheel, events, Board(board.data()), masks, 0, {}, {}};
  Socket socket;

  explicit Clock(double stalledMs = 60000)
      : pair(4096), socket(host, 1, std::exchange(pair.near, -1), {false, 65536, 5000, stalledMs}) {
    epoll_event event{};
    epoll_ctl(poll, EPOLL_CTL_ADD, socket.fd(), &event);
    socket.begin();
  }
  ~Clock() { ::close(poll); }

  // Once a second, as often as a socket with something to wait for is looked at. Returns whether it lives.
  bool pass(double ms) {
    for (const double end = host.awakeMs + ms; host.awakeMs < end;) {
      host.awakeMs += 1000;
      if (socket.look() == Socket::Verdict::isOver) return false;
    }
    return true;
  }

  std::size_t told(EventKind kind) {
    events.handOver();
    std::size_t count = 0;
    for (const Event& event : events.take()) count += event.kind == kind ? 1 : 0;
    return count;
  }
};

void pingsAndGivesUp() {
  Clock silent;
  CHECK(silent.pass(10000));
  CHECK(silent.pair.hear(2) == frame("", false, Opcode::ping));
  CHECK(silent.pass(15000));
  CHECK(!silent.pass(1000));
  Clock answering;
  for (int i = 0; i < 10; i++) {
    CHECK(answering.pass(10000));
    answering.socket.heard();
  }
  Clock paused;
  paused.socket.isPaused = true;
  CHECK(paused.pass(100000));
  paused.socket.isPaused = false;
  CHECK(paused.pass(25000));
  CHECK(!paused.pass(2000));
}

void limitsTheClosing() {
  Clock clock;
  clock.socket.close(1000);
  CHECK(clock.pass(4000));
  CHECK(!clock.pass(1000));
  CHECK(!clock.socket.isOpen());
}

// A peer that takes what waits for it, however slowly, isn't stalled.
void tellsSlowFromStalled() {
  Clock clock(3000);
  const Bytes one = frame(std::string(60000, 'x'), false);
  for (int i = 0; i < 200; i++) clock.socket.write(one.data(), one.size());
  for (int i = 0; i < 20; i++) {
    CHECK(clock.pair.hear(100000).size() == 100000);
    usleep(2000);
    clock.socket.flush();
    CHECK(clock.pass(1000));
  }
  // It may say as much as it likes.
  clock.socket.heard();
  CHECK(clock.told(EventKind::stalled) == 0);
  CHECK(clock.pass(2000));
  CHECK(clock.told(EventKind::stalled) == 0);
  CHECK(clock.pass(3000));
  CHECK(clock.told(EventKind::stalled) == 1);
  CHECK(clock.pass(5000));
  CHECK(clock.told(EventKind::stalled) == 0);
}

// What this process does while nothing happens.
struct Idleness {
  double cpuMs;
  long sleeps;
};

Idleness idle(double forMs) {
  rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  usleep(static_cast<useconds_t>(forMs * 1000));
  getrusage(RUSAGE_SELF, &after);
  const auto ms = [](const timeval& from, const timeval& to) {
    return static_cast<double>(to.tv_sec - from.tv_sec) * 1e3 + static_cast<double>(to.tv_usec - from.tv_usec) / 1e3;
  };
  return {ms(before.ru_utime, after.ru_utime) + ms(before.ru_stime, after.ru_stime), after.ru_nvcsw - before.ru_nvcsw};
}

// Woken when there is something to do, or by the clock; never turning over nothing.
void rests() {
  Call call;
  const Idleness found = idle(200);
  CHECK(found.cpuMs < 40);
  CHECK(gathering.isOn() ? found.sleeps > 40 : found.sleeps < 40);
}

// Node's descriptor goes later than the thread's duplicate: nobody turns over what only that one still tells.
void leavesToOthers() {
  Pair ended, broken;
  Stage stage;
  CHECK(stage.loop->add(1, ended.near, {false, 65536, 500, 60000}, {}));
  ::close(std::exchange(ended.far, -1));
  CHECK(stage.next(EventKind::closed).slot == 1);
  // Broken before it is the thread's.
  const linger atOnce{1, 0};
  setsockopt(broken.far, SOL_SOCKET, SO_LINGER, &atOnce, sizeof atOnce);
  ::close(std::exchange(broken.far, -1));
  CHECK(stage.loop->add(2, broken.near, {false, 65536, 500, 60000}, {}));
  CHECK(stage.next(EventKind::closed).slot == 2);
  CHECK(idle(200).cpuMs < 40);
}

// Larger than what is read at once, and more of them than one look shows.
void takesMuch() {
  constexpr uint32_t sockets = 300;
  const std::string large(150000, 'x');
  Stage stage(1 << 20, sockets + 1);
  std::vector<std::unique_ptr<Pair>> pairs;
  for (uint32_t slot = 1; slot <= sockets; slot++) {
    pairs.push_back(std::make_unique<Pair>());
    CHECK(stage.add(slot, *pairs.back(), false, {}, 1 << 20));
  }
  stage.inOneTurn([&] {
    for (const auto& pair : pairs) pair->say(frame(media(1), true));
  });
  std::vector<bool> heard(sockets + 1);
  for (uint32_t i = 0; i < sockets; i++) {
    const Event message = stage.next(EventKind::message);
    CHECK(std::string(message.bytes.begin(), message.bytes.end()) == media(1));
    heard[message.slot] = true;
    stage.handled(message);
  }
  CHECK(std::count(heard.begin(), heard.end(), true) == sockets);
  pairs[0]->say(frame(large, true));
  CHECK(stage.nextMessage() == large);
}

void takesNoOther() {
  Pair pair;
  Stage stage;
  CHECK(!stage.loop->add(1, -1, {false, 1, 1, 1}, {}));
  CHECK(!stage.loop->add(Loop::mostSockets, pair.near, {false, 1, 1, 1}, {}));
  // Not every descriptor can be waited for.
  const int plain = open("/proc/self/exe", O_RDONLY);
  CHECK(!stage.loop->add(1, plain, {false, 1, 1, 1}, {}));
  ::close(plain);
  CHECK(stage.add(1, pair, false));
}

}  // namespace

int main(int count, char** names) {
  const struct {
    const char* name;
    void (*test)();
  } tests[] = {
      {"passesOn", passesOn},           {"mutes", mutes},                 {"splits", splits},
      {"keepsOrder", keepsOrder},       {"refusesOthers", refusesOthers},
      {"violations", violations},       {"closes", closes},
      {"closeTimesOut", closeTimesOut}, {"breaks", breaks},
      {"dropsForSlowBots", dropsForSlowBots}, {"holdsBotsBack", holdsBotsBack},
      {"keepsToTheShare", keepsToTheShare}, {"stalls", stalls},               {"isFair", isFair},
      {"boundsWhatIsInHand", boundsWhatIsInHand}, {"tellsDrops", tellsDrops},
      {"stops", stops},                 {"takesNoOther", takesNoOther},
      {"pingsAndGivesUp", pingsAndGivesUp}, {"limitsTheClosing", limitsTheClosing},
      {"tellsSlowFromStalled", tellsSlowFromStalled},
      {"rests", rests},                 {"leavesToOthers", leavesToOthers}, {"takesMuch", takesMuch},
  };
  for (const Gathering& each : {Gathering(), Gathering::always()}) {
    gathering = each;
    for (const auto& [name, test] : tests) {
      if (count > 1 && std::strcmp(names[1], name) != 0) continue;
      std::printf("# %s%s\n", name, gathering.isOn() ? ", gathering" : "");
      std::fflush(stdout);
      test();
    }
  }
  return verdict("moving");
}
