// When the loop looks for what has arrived. As long as its thread takes less than half of a processor it is woken by each frame. Beyond that
// it looks every half millisecond: each waking costs about a fifth of what a frame does, and whoever sends it pays for that, too; what
// else runs on its processor gets it in one piece. Nobody hears half a millisecond.
#pragma once

#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace live {

class Gathering {
 public:
  Gathering() = default;
  // Whatever its thread takes.
  static Gathering always() {
    Gathering gathering;
    gathering.isAlways_ = gathering.isOn_ = true;
    return gathering;
  }

  static constexpr int64_t tickNs = 500'000;
  // The thread's share of a processor is looked at as often as this.
  static constexpr int64_t weighNs = 250'000'000;
  static constexpr double busyShare = 0.5;
  // Less than what the same frames cost at busyShare, once they are gathered: it wouldn't settle otherwise.
  static constexpr double calmShare = 0.35;

  // `nowNs`: the monotonic clock. `cpuNs`: what the thread has taken of a processor. Both may jump forward, never back.
  void weigh(int64_t nowNs, int64_t cpuNs) {
    const int64_t passedNs = nowNs - weighedNs_;
    if (passedNs < weighNs) return;
    // The first time there is nothing to compare with.
    if (weighedNs_ > 0) {
      const double share = static_cast<double>(cpuNs - weighedCpuNs_) / static_cast<double>(passedNs);
      isOn_ = isAlways_ || share >= (isOn_ ? calmShare : busyShare);
    }
    weighedNs_ = nowNs;
    weighedCpuNs_ = cpuNs;
  }

  bool isDue(int64_t nowNs) const { return nowNs - weighedNs_ >= weighNs; }
  bool isOn() const { return isOn_; }

  // When the loop looks next. Who is late looks at once, and doesn't make up for what it has missed.
  int64_t next(int64_t nowNs) { return nextNs_ = std::max(nextNs_ + tickNs, nowNs); }

  // Sleeps until then, if it is on. Returns whether it is: what is there now may have come at any time since the last look.
  bool wait() {
    const int64_t nowNs = read(CLOCK_MONOTONIC);
    if (isDue(nowNs)) weigh(nowNs, read(CLOCK_THREAD_CPUTIME_ID));
    if (!isOn_) return false;
    const int64_t untilNs = next(nowNs);
    if (untilNs == nowNs) return true;
    const timespec until{static_cast<time_t>(untilNs / secondNs), static_cast<long>(untilNs % secondNs)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) continue;
    return true;
  }

 private:
  static constexpr int64_t secondNs = 1'000'000'000;

  static int64_t read(clockid_t clock) {
    timespec now;
    clock_gettime(clock, &now);
    return static_cast<int64_t>(now.tv_sec) * secondNs + now.tv_nsec;
  }

  bool isAlways_ = false;
  bool isOn_ = false;
  int64_t weighedNs_ = 0;
  int64_t weighedCpuNs_ = 0;
  int64_t nextNs_ = 0;
};

}  // namespace live
