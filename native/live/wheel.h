// Timers in a wheel: to set one, and to find those that are due, costs the same whatever their number. Each thing has one.
#pragma once

#include <array>
#include <cstdint>

namespace live {

// Embedded in what has a timer.
struct Timer {
  Timer* before = nullptr;
  Timer* after = nullptr;
  double dueMs = 0;
  void* owner = nullptr;

  bool isSet() const { return before != nullptr; }

  void unset() {
    if (!isSet()) return;
    before->after = after;
    after->before = before;
    before = after = nullptr;
  }
};

class Wheel {
 public:
  static constexpr double stepMs = 100;

  Wheel() {
    for (Timer& head : heads_) head.before = head.after = &head;
  }
  Wheel(const Wheel&) = delete;
  Wheel& operator=(const Wheel&) = delete;

  // Sets a timer, or sets it anew; it is due up to a step later.
  void set(Timer& timer, double dueMs) {
    timer.unset();
    timer.dueMs = dueMs;
    uint64_t step = stepOf(dueMs) + 1;
    if (step <= step_) step = step_ + 1;
    Timer& head = heads_[step % heads_.size()];
    timer.before = head.before;
    timer.after = &head;
    head.before->after = &timer;
    head.before = &timer;
  }

  // Calls `due` with each timer that is; it is no longer set then.
  template <typename Due>
  void advance(double nowMs, Due due) {
    const uint64_t until = stepOf(nowMs);
    // Once around is all there is.
    if (until > step_ + heads_.size()) step_ = until - heads_.size();
    while (step_ < until) {
      step_++;
      Timer& head = heads_[step_ % heads_.size()];
      Timer list;
      if (head.after == &head) continue;
      // Taken out as a whole, because what is due is mostly set anew.
      list.after = head.after;
      list.before = head.before;
      list.after->before = list.before->after = &list;
      head.before = head.after = &head;
      while (list.after != &list) {
        Timer& timer = *list.after;
        const double dueMs = timer.dueMs;
        timer.unset();
        if (dueMs <= nowMs) due(timer);
        else set(timer, dueMs);
      }
    }
  }

 private:
  static uint64_t stepOf(double ms) { return ms <= 0 ? 0 : static_cast<uint64_t>(ms / stepMs); }

  std::array<Timer, 512> heads_;
  uint64_t step_ = 0;
};

}  // namespace live
