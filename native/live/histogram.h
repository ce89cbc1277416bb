// The cells of src/tap/Histogram.ts and of src/tap/Counters.ts, as far as the thread that moves frames writes them: doubles in shared
// memory with one writer, read by others at any time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace live {

inline void putCell(double* cell, double value) { __atomic_store(cell, &value, __ATOMIC_RELAXED); }

inline double cellOf(double* cell) {
  double value;
  __atomic_load(cell, &value, __ATOMIC_RELAXED);
  return value;
}

inline void addToCell(double* cell, double amount) { putCell(cell, cellOf(cell) + amount); }

constexpr int histogramStepBits = 4;
constexpr uint32_t histogramLongestUs = (1U << 26) - 1;

constexpr uint32_t histogramBucketOf(uint32_t us) {
  if (us < 1U << histogramStepBits) return us;
  const int shift = 31 - histogramStepBits - __builtin_clz(us);
  return (static_cast<uint32_t>(shift) << histogramStepBits) + (us >> shift);
}

class Histogram {
 public:
  static constexpr uint32_t buckets = histogramBucketOf(histogramLongestUs) + 1;

  // `cells`: one for each bucket, then the sum, ms.
  explicit Histogram(double* cells) : cells_(cells) {}

  // `count` values of `ms`.
  void observe(double ms, double count = 1) {
    const double us = ms * 1000;
    const uint32_t whole = us < histogramLongestUs ? (us > 0 ? static_cast<uint32_t>(us) : 0) : histogramLongestUs;
    addToCell(&cells_[histogramBucketOf(whole)], count);
    addToCell(&cells_[buckets], ms * count);
  }

 private:
  double* cells_;
};

}  // namespace live
