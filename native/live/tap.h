// The tap of one link: audio of both directions as records of src/tap/TapRecord.ts, straight into the thread's ring. What finds no room is
// counted and told later, as src/tap/RingTap.ts does.
#pragma once

#include <algorithm>
#include <cstdio>

#include "histogram.h"
#include "media_text.h"
#include "ring.h"

namespace live {

enum class Encoding : uint8_t { none = 0, mulaw = 1, pcm16 = 2 };

// What the taps of all links share.
struct TapTotals {
  double* records;
  double* dropped;
  // Links that couldn't yet tell what they have lost: time must not pass over it.
  double* behind;
};

class Tap {
 public:
  static constexpr uint16_t audioKind = 3;
  static constexpr uint16_t droppedKind = 14;
  static constexpr uint16_t mutedKind = 16;

  struct Drops {
    double records = 0;
    double sinceMs = 0;
  };

  // `call` 0: nothing of it is to be kept.
  Tap(Ring& ring, TapTotals totals, uint32_t call, uint32_t stream, Encoding encoding)
      : ring_(ring), totals_(totals), call_(call), stream_(stream), encoding_(encoding) {}

  ~Tap() { takeDrops(); }
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  bool keeps() const { return call_ != 0; }

  // Room for so many bytes of audio, at most `longestPayload`; null: there is none, and `drop` is to be called if the audio is any good.
  uint8_t* room(std::size_t bytes, double arrivalMs) {
    if (ring_.isOverfull() || !isFair(bytes) || !tellDrops(arrivalMs)) return nullptr;
    uint8_t* record = ring_.reserve(bytes);
    return record == nullptr ? nullptr : record + recordHeadBytes;
  }

  // Stages what was written into the room.
  void stage(Track track, std::size_t bytes, double providerMs, double arrivalMs) {
    stageAs(audioKind, track, bytes, providerMs, arrivalMs);
  }

  // Of audio that isn't to be kept its length alone.
  void mute(Track track, std::size_t bytes, double providerMs, double arrivalMs) {
    const auto length = static_cast<uint32_t>(bytes);
    uint8_t* place = room(sizeof length, arrivalMs);
    if (place == nullptr) return drop(arrivalMs);
    std::memcpy(place, &length, sizeof length);
    stageAs(mutedKind, track, sizeof length, providerMs, arrivalMs);
  }

  void drop(double arrivalMs) {
    addToCell(totals_.dropped, 1);
    if (drops_.records == 0) {
      drops_.sinceMs = arrivalMs;
      addToCell(totals_.behind, 1);
    }
    drops_.records++;
  }

  bool isBehind() const { return drops_.records > 0; }

  // Tells what was dropped. Returns whether nothing is left to tell.
  bool tellDrops(double arrivalMs) {
    if (!isBehind()) return true;
    if (ring_.isOverfull()) return false;
    char facts[96];
    const int length =
        std::snprintf(facts, sizeof facts, "{\"records\":%.0f,\"sinceMs\":%.6f}", drops_.records, drops_.sinceMs);
    const auto bytes = static_cast<std::size_t>(length);
    uint8_t* record = ring_.reserve(bytes);
    if (record == nullptr) return false;
    std::memcpy(record + recordHeadBytes, facts, bytes);
    put({droppedKind, 0, 0, call_, 0, arrivalMs, __builtin_nan("")}, bytes);
    takeDrops();
    return true;
  }

  // For somebody else to tell.
  Drops takeDrops() {
    if (isBehind()) addToCell(totals_.behind, -1);
    const Drops drops = drops_;
    drops_ = {};
    return drops;
  }

 private:
  void stageAs(uint16_t kind, Track track, std::size_t bytes, double providerMs, double arrivalMs) {
    const auto placed = static_cast<uint8_t>(track);
    put({kind, placed, static_cast<uint8_t>(encoding_), call_, stream_, arrivalMs, providerMs}, bytes);
  }

  void put(const RecordHead& head, std::size_t bytes) {
    ring_.stage(head, bytes);
    share_.add(recordBytes(bytes), ring_.writtenBytes(), ring_.writtenBytes() - ring_.usedBytes());
    addToCell(totals_.records, 1);
  }

  // While the ring is half empty each call may have more; from then on those that hold less than a quarter of it.
  bool isFair(std::size_t payloadBytes) const {
    const std::size_t bytes = recordBytes(payloadBytes);
    const std::size_t used = ring_.usedBytes();
    if (used + bytes <= ring_.capacity() / 2) return true;
    return share_.heldBytes(ring_.writtenBytes() - used) + bytes <= ring_.capacity() / 4;
  }

  Ring& ring_;
  TapTotals totals_;
  const uint32_t call_;
  const uint32_t stream_;
  const Encoding encoding_;
  RingShare share_;
  Drops drops_;
};

}  // namespace live
