// Fuzzes framing and the search for media: whatever bytes come, nothing beyond them is read, and what is taken for media is valid
// base64 whose decoding fills what was measured. Without a fuzzer's own main it mutates messages by itself, for as many seconds as told.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../../../native/live/frame.h"
#include "../../../native/live/media_text.h"
#include "../../../native/live/message.h"

using namespace live;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

void text(const uint8_t* bytes, std::size_t count, Side side) {
  MediaText found;
  const char* characters = reinterpret_cast<const char*>(bytes);
  if (!findMedia(characters, count, "MZ1", side, found)) return;
  require(found.payload.text >= characters, "the payload begins in the message");
  require(found.payload.text + found.payload.characters <= characters + count, "and ends in it");
  require(side == Side::bot || found.timestampMs >= 0, "a time is never negative");
  const auto audio = std::make_unique<uint8_t[]>(found.payload.bytes());
  decodeBase64(found.payload, audio.get());
}

void frames(const uint8_t* bytes, std::size_t count) {
  Message message(4096);
  std::size_t at = 0;
  while (at < count) {
    Frame frame;
    Violation violation = Violation::none;
    const Parsed parsed = readHead(bytes + at, count - at, frame, violation);
    require((parsed == Parsed::violated) == (violation != Violation::none), "a violation has a name");
    if (parsed != Parsed::whole) return;
    if (!frame.isControl() && message.check(frame) != Violation::none) return;
    require(!frame.isControl() || frame.payloadBytes <= longestControl, "control frames are short");
    if (frame.payloadBytes > count - at - frame.headBytes) return;
    const uint8_t* payload = bytes + at + frame.headBytes;
    if (!frame.isControl() && message.add(frame, payload)) {
      const Bytes whole = message.take();
      require(whole.size() <= 4096, "a message keeps to its limit");
      text(whole.data(), whole.size(), frame.isMasked ? Side::provider : Side::bot);
    }
    at += frame.headBytes + static_cast<std::size_t>(frame.payloadBytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  // To the byte, so that AddressSanitizer sees whoever reads beyond.
  const auto exact = std::make_unique<uint8_t[]>(size);
  if (size > 0) std::memcpy(exact.get(), data, size);
  text(exact.get(), size, Side::provider);
  text(exact.get(), size, Side::bot);
  frames(exact.get(), size);
  return 0;
}

#ifndef FUZZER_HAS_MAIN

namespace {

const char* const seeds[] = {
    R"({"event":"media","sequenceNumber":"4","media":{"track":"inbound","chunk":"2","timestamp":"5","payload":"TWFuTWFuTWFuTWE="},"streamSid":"MZ1"})",
    R"({"event": "media", "streamSid": "MZ1", "media": {"payload": "TQ=="}})",
    R"({"event":"mark","streamSid":"MZ1","mark":{"name":"m"}})",
    R"({"event":"media","streamSid":"MZ1","media":{"timestamp":17,"payload":"===="}})",
};
const char interesting[] = "\"\\{}:,=+/-_ \t\n0A\x7f\xff\x80\x81\x82\x89\x7e";

}  // namespace

int main(int count, char** arguments) {
  const double seconds = count > 1 ? std::atof(arguments[1]) : 10;
  const unsigned seed = count > 2 ? static_cast<unsigned>(std::atoi(arguments[2])) : static_cast<unsigned>(std::time(nullptr));
  std::mt19937 random(seed);
  const auto below = [&random](std::size_t most) { return static_cast<std::size_t>(random() % most); };
  const std::clock_t end = std::clock() + static_cast<std::clock_t>(seconds * CLOCKS_PER_SEC);
  unsigned long inputs = 0;
  while (std::clock() < end) {
    std::string input;
    for (std::size_t messages = below(3); messages < 3; messages++) {
      const std::string payload = seeds[below(4)];
      const uint8_t mask[4] = {1, 2, 3, 4};
      uint8_t head[longestHead];
      const bool isFramed = below(2) == 0;
      if (isFramed) {
        const std::size_t bytes = writeHead(head, Opcode::text, payload.size(), below(2) == 0 ? mask : nullptr);
        input.append(reinterpret_cast<const char*>(head), bytes);
      }
      input += payload;
      if (!isFramed) break;
    }
    for (std::size_t changes = below(6); changes > 0 && !input.empty(); changes--) {
      const std::size_t at = below(input.size());
      const char put = below(2) == 0 ? interesting[below(sizeof interesting - 1)] : static_cast<char>(random());
      switch (below(4)) {
        case 0:
          input[at] = put;
          break;
        case 1:
          input.insert(at, 1, put);
          break;
        case 2:
          input.erase(at, 1 + below(8));
          break;
        default:
          input.resize(at);
      }
    }
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
    inputs++;
  }
  std::printf("fuzz: %lu inputs, seed %u\n", inputs, seed);
  return inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
