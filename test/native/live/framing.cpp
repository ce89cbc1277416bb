// Framing, base64, Twilio's media messages, the ring and the wheel: pure functions, table by table. Buffers are allocated to the byte, so
// that AddressSanitizer sees whoever reads or writes beyond.

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../../../native/live/base64.h"
#include "../../../native/live/frame.h"
#include "../../../native/live/gathering.h"
#include "../../../native/live/media_text.h"
#include "../../../native/live/message.h"
#include "../../../native/live/ring.h"
#include "../../../native/live/tap.h"
#include "../../../native/live/wheel.h"
#include "check.h"

using namespace live;

namespace {

struct Head {
  std::vector<uint8_t> bytes;
  Parsed parsed;
  Violation violation;
  uint64_t payloadBytes;
};

void heads() {
  const Head table[] = {
      {{0x81, 0x05}, Parsed::whole, Violation::none, 5},
      {{0x82, 0x7e, 0x01, 0x00}, Parsed::whole, Violation::none, 256},
      {{0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}, Parsed::whole, Violation::none, 65536},
      {{0x81, 0x85, 1, 2, 3, 4}, Parsed::whole, Violation::none, 5},
      {{0xc1, 0x00}, Parsed::violated, Violation::reservedBits, 0},
      {{0x91, 0x00}, Parsed::violated, Violation::reservedBits, 0},
      {{0x83, 0x00}, Parsed::violated, Violation::opcode, 0},
      {{0x8b, 0x00}, Parsed::violated, Violation::opcode, 0},
      {{0x09, 0x00}, Parsed::violated, Violation::fragmentedControl, 0},
      {{0x89, 0x7e}, Parsed::violated, Violation::longControl, 0},
      {{0x88, 0x7d}, Parsed::whole, Violation::none, 125},
  };
  for (const Head& row : table) {
    Frame frame;
    Violation violation = Violation::none;
    CHECK(readHead(row.bytes.data(), row.bytes.size(), frame, violation) == row.parsed);
    CHECK(violation == row.violation);
    if (row.parsed != Parsed::whole) continue;
    CHECK(frame.payloadBytes == row.payloadBytes);
    CHECK(frame.headBytes == row.bytes.size());
    for (std::size_t count = 0; count < row.bytes.size(); count++) {
      const std::vector<uint8_t> some(row.bytes.begin(), row.bytes.begin() + static_cast<std::ptrdiff_t>(count));
      violation = Violation::none;
      CHECK(readHead(some.data(), count, frame, violation) == Parsed::partial);
    }
  }
}

void minimal() {
  const struct {
    std::vector<uint8_t> bytes;
    bool isMinimal;
  } table[] = {
      {{0x81, 0x7e, 0, 125}, false},
      {{0x81, 0x7e, 0, 126}, true},
      {{0x81, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, false},
  };
  for (const auto& row : table) {
    Frame frame;
    Violation violation = Violation::none;
    CHECK(readHead(row.bytes.data(), row.bytes.size(), frame, violation) == Parsed::whole);
    CHECK(frame.isMinimal == row.isMinimal);
  }
}

void roundTrips() {
  const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
  for (const uint64_t count : {0UL, 1UL, 125UL, 126UL, 65535UL, 65536UL, 1UL << 33}) {
    for (const uint8_t* given : {static_cast<const uint8_t*>(nullptr), mask}) {
      uint8_t head[longestHead];
      const std::size_t bytes = writeHead(head, Opcode::binary, count, given);
      Frame frame;
      Violation violation = Violation::none;
      CHECK(readHead(head, bytes, frame, violation) == Parsed::whole);
      CHECK(frame.payloadBytes == count && frame.headBytes == bytes && frame.isMinimal && frame.isFinal);
      CHECK(frame.isMasked == (given != nullptr));
    }
  }
  for (std::size_t count = 0; count < 40; count++) {
    for (std::size_t phase = 0; phase < 5; phase++) {
      const auto from = std::make_unique<uint8_t[]>(count);
      const auto to = std::make_unique<uint8_t[]>(count);
      for (std::size_t i = 0; i < count; i++) from[i] = static_cast<uint8_t>(i * 7);
      applyMask(to.get(), from.get(), count, mask, phase);
      for (std::size_t i = 0; i < count; i++) CHECK(to[i] == (from[i] ^ mask[(i + phase) & 3]));
    }
  }
}

void closeCodes() {
  for (const uint16_t code : {1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999}) CHECK(isCloseCode(code));
  for (const uint16_t code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535}) CHECK(!isCloseCode(code));
}

// What a text stands for; "!" where it is no base64.
std::string decoded(const std::string& text) {
  const auto exact = std::make_unique<char[]>(text.size());
  std::memcpy(exact.get(), text.data(), text.size());
  Base64 found;
  if (!measureBase64(exact.get(), text.size(), found)) return "!";
  const auto bytes = std::make_unique<uint8_t[]>(found.bytes());
  if (!decodeBase64(found, bytes.get())) return "!";
  return std::string(reinterpret_cast<char*>(bytes.get()), found.bytes());
}

void base64() {
  const struct {
    const char* text;
    const char* means;
  } table[] = {
      {"TWFu", "Man"},      {"TWE=", "Ma"},    {"TQ==", "M"},      {"TWE", "Ma"},     {"TQ", "M"},
      {"TWFuTWFu", "ManMan"}, {"", "!"},         {"=", "!"},         {"==", "!"},       {"===", "!"},
      {"====", "!"},        {"T", "!"},        {"T===", "!"},      {"TWF=u", "!"},    {"TWFuT", "!"},
      {"TW-_", "!"},        {"TW u", "!"},     {"TQ=", "!"},       {"TWE==", "!"},    {"TWFu=", "!"},
      {"TWFuTQ==", "ManM"}, {"T=FuTWFu", "!"}, {"TWFu\n", "!"},    {"TW=u", "!"},     {"A=", "!"},
  };
  for (const auto& row : table) CHECK(decoded(row.text) == row.means);
  for (int byte = 0; byte < 256; byte++) {
    const std::string text = std::string("AA") + static_cast<char>(byte) + "A";
    const bool isIn = std::isalnum(byte) != 0 || byte == '+' || byte == '/';
    CHECK((decoded(text) != "!") == (isIn && byte < 128));
  }
}

bool isMedia(const std::string& text, MediaText& found, Side side = Side::provider) {
  const auto exact = std::make_unique<char[]>(text.size());
  std::memcpy(exact.get(), text.data(), text.size());
  const bool is = findMedia(exact.get(), text.size(), "MZ1", side, found);
  if (is) {
    // What was found points into memory that is about to go.
    found.payload.text = nullptr;
  }
  return is;
}

std::string media(const std::string& inner, const std::string& rest = R"(,"streamSid":"MZ1")") {
  return R"({"event":"media")" + rest + R"(,"media":{)" + inner + "}}";
}

void mediaTexts() {
  MediaText found;
  const std::string plain = R"("track":"inbound","chunk":"2","timestamp":"1234","payload":"TWFu")";
  CHECK(isMedia(media(plain), found) && found.track == Track::caller && found.timestampMs == 1234);
  CHECK(found.payload.bytes() == 3);
  CHECK(isMedia(media(R"("timestamp":0,"payload":"TWE=")"), found) && found.timestampMs == 0);
  CHECK(isMedia(media(R"("track":"outbound","timestamp":"5","payload":"TWFu")"), found) && found.track == Track::botHeard);
  CHECK(isMedia(media(plain, R"(, "streamSid" : "MZ1" , "sequenceNumber" : 17)"), found));
  CHECK(isMedia(media(plain, ""), found));
  CHECK(isMedia(" " + media(plain) + "\r\n", found));
  CHECK(isMedia(media(R"("payload":"TWFu")"), found, Side::bot) && found.track == Track::botSent);
  CHECK(std::isnan(found.timestampMs));
  const std::string others[] = {
      "",
      "{",
      "{}",
      "[]",
      "null",
      media(plain) + "x",
      media(plain, R"(,"streamSid":"MZ2")"),
      media(plain, R"(,"streamSid":"")"),
      media(plain, R"(,"streamSid":null)"),
      media(plain, R"(,"streamSid":"MZ1","streamSid":"MZ1")"),
      media(plain, R"(,"event":"media")"),
      media(plain, R"(,"other":{"a":1})"),
      media(plain, R"(,"other":[1])"),
      media(plain, R"(,"other":01)"),
      media(plain, R"(,"other":-1)"),
      media(plain, R"(,"other":tru)"),
      media(plain, R"(,"other":"a\"b")"),
      media(plain, ",\"other\":\"a\tb\""),
      media(plain, ",\"other\":\"\xc3\xa9\""),
      media(plain, R"(,"media":{"payload":"TWFu"})"),
      media(plain + R"(,"payload":"TWFu")"),
      media(plain + R"(,"timestamp":"7")"),
      media(R"("track":"","timestamp":"1","payload":"TWFu")"),
      media(R"("track":"both","timestamp":"1","payload":"TWFu")"),
      media(R"("track":1,"timestamp":"1","payload":"TWFu")"),
      media(R"("timestamp":"","payload":"TWFu")"),
      media(R"("timestamp":"-1","payload":"TWFu")"),
      media(R"("timestamp":"1.5","payload":"TWFu")"),
      media(R"("timestamp":"1234567890123456","payload":"TWFu")"),
      media(R"("timestamp":true,"payload":"TWFu")"),
      media(R"("payload":"TWFu")"),
      media(R"("timestamp":"1","payload":"")"),
      media(R"("timestamp":"1","payload":"=")"),
      media(R"("timestamp":"1","payload":7)"),
      media(R"("timestamp":"1")"),
      media(""),
      R"({"event":"mark","streamSid":"MZ1","mark":{"name":"m"}})",
      R"({"event":"media","streamSid":"MZ1","media":"x"})",
      R"({"event":"media","streamSid":"MZ1"})",
      R"({"streamSid":"MZ1","media":{"timestamp":"1","payload":"TWFu"}})",
      R"({"event":"media","media":{"timestamp":"1","payload":"TWFu"},})",
      R"({"event":"media" "media":{"timestamp":"1","payload":"TWFu"}})",
  };
  for (const std::string& text : others) {
    const bool is = isMedia(text, found);
    if (is) std::printf("taken for media: %s\n", text.c_str());
    CHECK(!is);
  }
  // Cut anywhere it is none, and nothing beyond is read.
  const std::string whole = media(plain);
  for (std::size_t count = 0; count < whole.size(); count++) CHECK(!isMedia(whole.substr(0, count), found));
}

void waveHeaders() {
  const uint8_t header[] = {'R', 'I', 'F', 'F', 1, 2, 3, 4, 'W', 'A', 'V', 'E'};
  CHECK(hasWaveHeader(header, 12));
  CHECK(!hasWaveHeader(header, 11));
}

void fragments() {
  Message message(10);
  const auto frame = [](Opcode opcode, bool isFinal, uint64_t bytes) {
    return Frame{isFinal, false, true, opcode, {0, 0, 0, 0}, 2, bytes};
  };
  const uint8_t payload[] = {1, 2, 3, 4, 5, 6};
  CHECK(message.check(frame(Opcode::continuation, true, 1)) == Violation::opcode);
  CHECK(message.check(frame(Opcode::text, true, 11)) == Violation::messageTooLong);
  CHECK(message.check(frame(Opcode::text, true, UINT64_MAX)) == Violation::messageTooLong);
  CHECK(!message.add(frame(Opcode::binary, false, 4), payload));
  CHECK(message.isOpen());
  CHECK(message.check(frame(Opcode::text, true, 1)) == Violation::opcode);
  CHECK(message.check(frame(Opcode::continuation, true, 7)) == Violation::messageTooLong);
  CHECK(message.check(frame(Opcode::continuation, false, 6)) == Violation::none);
  CHECK(!message.add(frame(Opcode::continuation, false, 6), payload));
  CHECK(message.add(frame(Opcode::continuation, true, 0), nullptr));
  CHECK(message.isBinary() && !message.isOpen());
  CHECK((message.take() == Bytes{1, 2, 3, 4, 1, 2, 3, 4, 5, 6}));
}

// A ring's memory, and what its consumer would see.
struct RingMemory {
  explicit RingMemory(std::size_t capacity) : bytes(64 + capacity), memory(new uint64_t[bytes / 8]()) {}

  uint8_t* data() { return reinterpret_cast<uint8_t*>(memory.get()); }
  int32_t& cell(int index) { return reinterpret_cast<int32_t*>(memory.get())[index]; }
  void releaseAll() { cell(1) = cell(0); }

  const std::size_t bytes;
  std::unique_ptr<uint64_t[]> memory;
  uint64_t sequence = 0;
};

void rings() {
  RingMemory memory(256);
  Ring ring(memory.data(), memory.bytes, &memory.sequence);
  uint8_t* record = ring.reserve(10);
  CHECK(record != nullptr);
  std::memset(record + recordHeadBytes, 7, 10);
  ring.stage({3, 1, 1, 5, 6, 1.5, 2.5}, 10);
  CHECK(memory.cell(0) == 0);
  ring.publish();
  CHECK(memory.cell(0) == 7);
  const uint8_t* at = memory.data() + 64;
  CHECK(at[0] == 50 && at[4] == 3 && at[6] == 1 && at[7] == 1 && at[8] == 5 && at[12] == 6);
  double number;
  std::memcpy(&number, at + 32, 8);
  CHECK(number == 1 && memory.sequence == 1);
  for (int i = 50; i < 56; i++) CHECK(at[i] == 0);
  // What is reserved and not staged is forgotten.
  CHECK(ring.reserve(10) != nullptr && ring.usedBytes() == 56);
  CHECK(ring.reserve(300) == nullptr);
  for (int i = 0; i < 3; i++) {
    CHECK(ring.reserve(8) != nullptr);
    ring.stage({3, 1, 1, 5, 6, 0, 0}, 8);
  }
  CHECK(ring.usedBytes() == 200 && ring.reserve(24) == nullptr);
  ring.publish();
  memory.releaseAll();
  // 56 bytes are left at the end: it goes on at the start, behind a marker.
  record = ring.reserve(24);
  CHECK(record == memory.data() + 64);
  uint32_t marker;
  std::memcpy(&marker, memory.data() + 64 + 200, 4);
  CHECK(marker == 0xffffffff);
  ring.stage({3, 1, 1, 5, 6, 0, 0}, 24);
  ring.publish();
  CHECK(memory.cell(0) == 40 && ring.writtenBytes() == 320);
}

// Cursors count modulo 2^32, and so does all that is reckoned from them.
void ringWraps() {
  RingMemory memory(256);
  memory.cell(0) = memory.cell(1) = -4;
  Ring ring(memory.data(), memory.bytes, &memory.sequence);
  for (int i = 0; i < 20; i++) {
    CHECK(ring.reserve(40) != nullptr);
    ring.stage({3, 1, 1, 5, 6, 0, 0}, 40);
    ring.publish();
    memory.releaseAll();
  }
  CHECK(ring.usedBytes() == 0 && memory.sequence == 20);
}

void drops() {
  RingMemory memory(512);
  Ring ring(memory.data(), memory.bytes, &memory.sequence);
  double cells[3] = {0, 0, 0};
  Tap tap(ring, {&cells[0], &cells[1], &cells[2]}, 1, 2, Encoding::mulaw);
  int kept = 0;
  for (int i = 0; i < 20; i++) {
    if (tap.room(40, i) != nullptr) {
      tap.stage(Track::caller, 40, 0, i);
      kept++;
    } else tap.drop(i);
  }
  // One call alone has half a ring, less than what would leave it more than its quarter.
  CHECK(kept == 3 && cells[1] == 17 && cells[2] == 1 && tap.isBehind());
  ring.publish();
  memory.releaseAll();
  CHECK(tap.room(40, 100) != nullptr);
  tap.stage(Track::caller, 40, 0, 100);
  CHECK(cells[2] == 0 && !tap.isBehind() && cells[0] == 5);
  const char* facts = reinterpret_cast<const char*>(memory.data()) + 64 + 240 + recordHeadBytes;
  CHECK(std::string(facts, 33) == R"({"records":17,"sinceMs":3.000000})");
  tap.drop(200);
  CHECK(tap.takeDrops().records == 1 && cells[2] == 0);
}

// A consumer that is always late gives back a little at a time: of that nobody takes anything until it is a quarter.
void waitsForAQuarter() {
  RingMemory memory(1600);
  Ring ring(memory.data(), memory.bytes, &memory.sequence);
  double cells[3] = {0, 0, 0};
  const TapTotals totals{&cells[0], &cells[1], &cells[2]};
  std::unique_ptr<Tap> taps[5];
  for (int call = 0; call < 5; call++) taps[call] = std::make_unique<Tap>(ring, totals, call + 1, 1, Encoding::mulaw);
  const auto say = [&](double arrivalMs) {
    int kept = 0;
    for (auto& tap : taps) {
      if (tap->room(40, arrivalMs) == nullptr) {
        tap->drop(arrivalMs);
        continue;
      }
      tap->stage(Track::caller, 40, 0, arrivalMs);
      kept++;
    }
    ring.publish();
    return kept;
  };
  for (int i = 0; i < 4; i++) CHECK(say(i) == 5);
  CHECK(say(4) == 0 && cells[2] == 5);
  // Four of twenty records: the first tap's report would fit, and its frame as well.
  for (int i = 0; i < 4; i++) {
    memory.cell(1) += 10;
    CHECK(say(5) == 0);
    for (auto& tap : taps) CHECK(!tap->tellDrops(5));
  }
  memory.cell(1) += 10;
  CHECK(say(6) == 2 && cells[1] == 5 * 5 + 3);
  memory.releaseAll();
  CHECK(say(7) == 5 && cells[2] == 0);
}

void timers() {
  Wheel wheel;
  Timer timers[3];
  int due[3] = {0, 0, 0};
  for (Timer& timer : timers) timer.owner = &due[&timer - timers];
  const auto count = [](Timer& timer) { (*static_cast<int*>(timer.owner))++; };
  wheel.set(timers[0], 250);
  wheel.set(timers[1], 100000);
  wheel.set(timers[2], 300);
  timers[2].unset();
  wheel.advance(200, count);
  CHECK(due[0] == 0);
  wheel.advance(400, count);
  CHECK(due[0] == 1 && !timers[0].isSet());
  // Set anew for what is past already, and from within its own turn.
  wheel.set(timers[0], 10);
  wheel.advance(500, [&](Timer& timer) {
    count(timer);
    wheel.set(timer, 700);
  });
  CHECK(due[0] == 2);
  wheel.advance(900, count);
  CHECK(due[0] == 3);
  wheel.advance(99000, count);
  CHECK(due[1] == 0);
  wheel.advance(100200, count);
  CHECK(due[1] == 1 && due[2] == 0);
}

// By the share of a processor that the thread has taken; on at a half, off below what gathering saves of that.
void gathersWhenBusy() {
  Gathering gathering;
  int64_t nowNs = 1, cpuNs = 0;
  gathering.weigh(nowNs, cpuNs);
  const auto pass = [&](double share) {
    nowNs += Gathering::weighNs;
    cpuNs += static_cast<int64_t>(share * static_cast<double>(Gathering::weighNs));
    gathering.weigh(nowNs, cpuNs);
    return gathering.isOn();
  };
  CHECK(!pass(0.49));
  CHECK(pass(0.51));
  CHECK(pass(0.36));
  CHECK(!pass(0.34));
  CHECK(!pass(0.36));
  CHECK(pass(1));
  // Not looked at before its time, whatever has been taken meanwhile.
  gathering.weigh(nowNs + Gathering::weighNs - 1, cpuNs);
  CHECK(gathering.isOn() && !gathering.isDue(nowNs + Gathering::weighNs - 1));
  // A machine that stood still.
  nowNs += 100 * Gathering::weighNs;
  CHECK(!pass(0.9));
  CHECK(pass(0.9));
}

void looksAtTicks() {
  Gathering gathering;
  const int64_t tick = Gathering::tickNs, beginNs = 5 * tick + 7;
  CHECK(gathering.next(beginNs) == beginNs);
  CHECK(gathering.next(beginNs + tick / 2) == beginNs + tick);
  // What a turn took belongs to the tick, and isn't slept on top of it.
  CHECK(gathering.next(beginNs + tick + tick / 3) == beginNs + 2 * tick);
  // Late: at once, and the ticks that were missed aren't made up for.
  CHECK(gathering.next(beginNs + 9 * tick) == beginNs + 9 * tick);
  CHECK(gathering.next(beginNs + 9 * tick + 1) == beginNs + 10 * tick);
}

}  // namespace

int main() {
  heads();
  minimal();
  roundTrips();
  closeCodes();
  base64();
  mediaTexts();
  waveHeaders();
  fragments();
  rings();
  ringWraps();
  drops();
  waitsForAQuarter();
  timers();
  gathersWhenBusy();
  looksAtTicks();
  return verdict("framing");
}
