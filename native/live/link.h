// A provider's socket and its bot's, as one call: media frames of either go to the other as they are, mask and all, and their audio to the
// tap. Whatever isn't plain media of this stream is refused here, and JavaScript sees to it.
#pragma once

#include <memory>
#include <string>

#include "media_text.h"
#include "socket.h"
#include "tap.h"

namespace live {

enum class Framing : uint8_t { twilio, binary };

// The policy, as JavaScript has settled it.
struct LinkOptions {
  Framing framing;
  // Of Twilio's messages.
  std::string streamId;
  // Of binary audio: whose it is, and how many bytes belong together.
  Track onlyTrack;
  std::size_t providerFrameBytes;
  // Audio may come from the bot, too.
  bool takesFromBot;
  // 0: nothing is recorded.
  uint32_t call;
  uint32_t stream;
  // The recording is paused: of the audio only its length is told.
  bool isMuted;
  // Of the stream, ms: times of the provider's far ahead of what has passed since are absurd.
  double startedMs;
  double aheadMs;
  // What may wait for the bot before audio for it is dropped, and for the provider before the bot isn't read any more.
  std::size_t botBytes;
  std::size_t providerBytes;
};

// Cells of src/tap/Counters.ts that are this thread's.
struct LinkCounters {
  double* framesFromProvider;
  double* framesFromUpstream;
  double* bytesFromProvider;
  double* bytesFromUpstream;
  double* framesDropped;
  double* pauses;
};

// What one thread has need of while it looks at a message.
struct Scratch {
  Bytes text;
  Bytes audio;

  static uint8_t* sized(Bytes& bytes, std::size_t count) {
    if (bytes.size() < count) bytes.resize(count);
    return bytes.data();
  }
};

// Frames that lie one behind the other in what was read, and go out in one write.
struct Run {
  const uint8_t* begin = nullptr;
  const uint8_t* end = nullptr;
  std::size_t frames = 0;

  void flush(Socket& to) {
    if (begin != end) to.write(begin, static_cast<std::size_t>(end - begin));
    begin = end = nullptr;
  }

  void add(const uint8_t* frame, std::size_t bytes, Socket& to) {
    if (frame != end) {
      flush(to);
      begin = frame;
    }
    end = frame + bytes;
    frames++;
  }
};

struct Link {
  const uint32_t number;
  const LinkOptions options;
  Socket& provider;
  Socket& bot;
  Tap tap;
  bool isOverflowing = false;
  // Among those that have something to tell of the tap.
  bool isListed = false;

  Link(uint32_t number, LinkOptions given, Socket& provider, Socket& bot, Ring& ring, TapTotals totals)
      : number(number),
        options(std::move(given)),
        provider(provider),
        bot(bot),
        tap(ring, totals, options.call, options.stream, encodingOf(options.framing)) {}

  Side sideOf(const Socket& from) const { return &from == &provider ? Side::provider : Side::bot; }
  Socket& otherOf(const Socket& from) { return &from == &provider ? bot : provider; }

  // Takes a message in one frame, of `frameBytes`, into the run and its audio into the tap. False, and nothing has happened: it is for
  // JavaScript.
  bool forward(Socket& from, const Frame& frame, const uint8_t* bytes, std::size_t frameBytes, double arrivalMs,
               Scratch& scratch, const LinkCounters& counters, EventQueue& events, Run& run) {
    const Side side = sideOf(from);
    Socket& to = otherOf(from);
    if (!to.isOpen() || !frame.isMinimal || (side == Side::bot && !options.takesFromBot)) return false;
    const uint8_t* payload = bytes + frame.headBytes;
    const auto count = static_cast<std::size_t>(frame.payloadBytes);
    const bool isMedia = options.framing == Framing::twilio
                             ? takeText(side, frame, payload, count, arrivalMs, scratch)
                             : takeAudio(side, frame, payload, count, arrivalMs, scratch);
    if (!isMedia) return false;
    const bool fromProvider = side == Side::provider;
    addToCell(fromProvider ? counters.framesFromProvider : counters.framesFromUpstream, 1);
    addToCell(fromProvider ? counters.bytesFromProvider : counters.bytesFromUpstream, static_cast<double>(count));
    if (!fromProvider || hasRoom(counters, events)) run.add(bytes, frameBytes, to);
    return true;
  }

 private:
  static constexpr std::size_t longestText = 2 * longestPayload;

  static Encoding encodingOf(Framing framing) { return framing == Framing::twilio ? Encoding::mulaw : Encoding::pcm16; }

  // A bot that doesn't read loses audio rather than the relay its memory.
  bool hasRoom(const LinkCounters& counters, EventQueue& events) {
    const bool isFull = bot.queuedBytes() > options.botBytes;
    if (isFull) addToCell(counters.framesDropped, 1);
    if (isFull != isOverflowing) {
      isOverflowing = isFull;
      events.push({EventKind::overflow, number, isFull ? 1.0 : 0.0});
    }
    return !isFull;
  }

  bool takeText(Side side, const Frame& frame, const uint8_t* payload, std::size_t count, double arrivalMs,
                Scratch& scratch) {
    if (frame.opcode != Opcode::text || count > longestText) return false;
    const uint8_t* text = payload;
    if (frame.isMasked) {
      uint8_t* plain = Scratch::sized(scratch.text, count);
      applyMask(plain, payload, count, frame.mask);
      text = plain;
    }
    MediaText media;
    if (!findMedia(reinterpret_cast<const char*>(text), count, options.streamId, side, media)) return false;
    if (media.timestampMs - (arrivalMs - options.startedMs) > options.aheadMs) return false;
    const std::size_t bytes = media.payload.bytes();
    if (bytes > longestPayload) return false;
    uint8_t* room = roomFor(bytes, arrivalMs);
    uint8_t* audio = room != nullptr ? room : Scratch::sized(scratch.audio, bytes);
    if (!decodeBase64(media.payload, audio) || hasWaveHeader(audio, bytes)) return false;
    note(room != nullptr, media.track, bytes, media.timestampMs, arrivalMs);
    return true;
  }

  bool takeAudio(Side side, const Frame& frame, const uint8_t* payload, std::size_t count, double arrivalMs,
                 Scratch& scratch) {
    const std::size_t whole = side == Side::provider ? options.providerFrameBytes : 2;
    if (frame.opcode != Opcode::binary || count == 0 || count > longestPayload || count % whole != 0) return false;
    uint8_t* room = roomFor(count, arrivalMs);
    // Without room the beginning is all that has to be looked at.
    const std::size_t copied = room != nullptr ? count : std::min<std::size_t>(count, 12);
    uint8_t* audio = room != nullptr ? room : Scratch::sized(scratch.audio, copied);
    applyMask(audio, payload, copied, frame.mask);
    if (hasWaveHeader(audio, copied)) return false;
    const Track track = side == Side::provider ? options.onlyTrack : Track::botSent;
    note(room != nullptr, track, count, __builtin_nan(""), arrivalMs);
    return true;
  }

  uint8_t* roomFor(std::size_t bytes, double arrivalMs) {
    return tap.keeps() && !options.isMuted ? tap.room(bytes, arrivalMs) : nullptr;
  }

  void note(bool hasRoom, Track track, std::size_t bytes, double providerMs, double arrivalMs) {
    if (!tap.keeps()) return;
    if (options.isMuted) tap.mute(track, bytes, providerMs, arrivalMs);
    else if (hasRoom) tap.stage(track, bytes, providerMs, arrivalMs);
    else tap.drop(arrivalMs);
  }
};

}  // namespace live
