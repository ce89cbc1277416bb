// The producer's end of a ring of src/tap/Ring.ts, for the thread that moves frames. Records are staged one behind the other and shown to
// the consumer together, so that what they tell of can be sent in between. Nothing here waits or allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace live {

// The layout of src/tap/TapRecord.ts.
constexpr std::size_t recordHeadBytes = 40;
constexpr std::size_t longestPayload = 1048576;

inline std::size_t recordBytes(std::size_t payloadBytes) { return (recordHeadBytes + payloadBytes + 7) & ~std::size_t{7}; }

struct RecordHead {
  uint16_t kind;
  uint8_t track;
  uint8_t encoding;
  uint32_t call;
  uint32_t stream;
  double arrivalMs;
  double providerMs;
};

class Ring {
 public:
  // `memory`: the whole of the shared buffer, of `bytes`. `sequence`: counts the records of all rings.
  Ring(uint8_t* memory, std::size_t bytes, uint64_t* sequence)
      : cells_(reinterpret_cast<int32_t*>(memory)),
        records_(memory + headBytes),
        capacity_(bytes - headBytes),
        sequence_(sequence),
        shown_(static_cast<uint32_t>(__atomic_load_n(&cells_[writeCell], __ATOMIC_ACQUIRE))),
        staged_(shown_),
        written_(usedBytes()) {}

  // Room for one record behind those that are staged; null when the ring is full. Its payload is to be written at `recordHeadBytes`;
  // what is reserved and not staged is forgotten.
  uint8_t* reserve(std::size_t payloadBytes) {
    const std::size_t need = recordBytes(payloadBytes);
    const std::size_t offset = offsetOf(staged_);
    const std::size_t tail = capacity_ - offset;
    const std::size_t skipped = tail < need ? tail : 0;
    if (usedBytes() + skipped + need > capacity_) {
      if (need <= mostOrdinary) isOverfull_ = true;
      return nullptr;
    }
    if (skipped > 0) std::memcpy(records_ + offset, &skipMarker, sizeof skipMarker);
    reservedTo_ = staged_ + static_cast<uint32_t>((skipped + need) / unit);
    reserved_ = records_ + (skipped > 0 ? 0 : offset);
    // The last word is padding, as far as the payload leaves some.
    std::memset(reserved_ + need - unit, 0, unit);
    return reserved_;
  }

  // Gives the reserved record its header and its number.
  void stage(const RecordHead& head, std::size_t payloadBytes) {
    const auto length = static_cast<uint32_t>(recordHeadBytes + payloadBytes);
    const auto number = static_cast<double>(__atomic_add_fetch(sequence_, 1, __ATOMIC_ACQ_REL));
    uint8_t* to = reserved_;
    std::memcpy(to, &length, 4);
    std::memcpy(to + 4, &head.kind, 2);
    to[6] = head.track;
    to[7] = head.encoding;
    std::memcpy(to + 8, &head.call, 4);
    std::memcpy(to + 12, &head.stream, 4);
    std::memcpy(to + 16, &head.arrivalMs, 8);
    std::memcpy(to + 24, &head.providerMs, 8);
    std::memcpy(to + 32, &number, 8);
    written_ += static_cast<uint64_t>(reservedTo_ - staged_) * unit;
    staged_ = reservedTo_;
  }

  // Shows the consumer what is staged.
  void publish() {
    if (shown_ == staged_) return;
    shown_ = staged_;
    __atomic_store_n(&cells_[writeCell], static_cast<int32_t>(shown_), __ATOMIC_RELEASE);
  }

  // Bytes that the consumer hasn't released, staged ones among them.
  std::size_t usedBytes() const {
    const auto read = static_cast<uint32_t>(__atomic_load_n(&cells_[readCell], __ATOMIC_ACQUIRE));
    return static_cast<std::size_t>(staged_ - read) * unit;
  }

  // It had no room for an ordinary record, and hasn't a quarter of it free since. Audio waits for that: in a ring that is kept on the brim each frame
  // that finds room is told of as the end of a gap, and those reports take more of the consumer than the audio does.
  bool isOverfull() {
    if (isOverfull_ && usedBytes() <= capacity_ / 4 * 3) isOverfull_ = false;
    return isOverfull_;
  }

  std::size_t capacity() const { return capacity_; }

  // Bytes that were ever written: where in all that went through the ring the next record begins.
  uint64_t writtenBytes() const { return written_; }

 private:
  static constexpr std::size_t headBytes = 64;
  static constexpr std::size_t writeCell = 0;
  static constexpr std::size_t readCell = 1;
  static constexpr std::size_t unit = 8;
  static constexpr uint32_t skipMarker = 0xffffffff;
  // Two seconds of 16 kHz stereo, as jambonz sends after a stall: that a record beyond it finds no room says nothing of others' frames.
  static constexpr std::size_t mostOrdinary = 128 * 1024;

  std::size_t offsetOf(uint32_t position) const {
    return static_cast<std::size_t>(static_cast<uint64_t>(position) * unit % capacity_);
  }

  int32_t* cells_;
  uint8_t* records_;
  std::size_t capacity_;
  uint64_t* sequence_;
  uint32_t shown_;
  uint32_t staged_;
  uint32_t reservedTo_ = 0;
  uint8_t* reserved_ = nullptr;
  uint64_t written_;
  bool isOverfull_ = false;
};

// What one call holds of a ring: src/tap/RingShare.ts has the reasoning.
class RingShare {
 public:
  void add(uint64_t bytes, uint64_t written, uint64_t released) {
    if (released >= mark_) {
      older_ = newer_;
      newer_ = 0;
      mark_ = written - bytes;
    }
    newer_ += bytes;
  }

  uint64_t heldBytes(uint64_t released) const { return released >= mark_ ? newer_ : older_ + newer_; }

 private:
  uint64_t mark_ = 0;
  uint64_t older_ = 0;
  uint64_t newer_ = 0;
};

}  // namespace live
