// How long a peer has taken nothing of what waits for it, found by looking now and then.
#pragma once

namespace live {

class Stall {
 public:
  // It has taken something.
  void taken() { takenSinceLook_ = true; }

  bool isWaiting() const { return isWaiting_; }

  // `isWaiting`: whether something waits now; `sinceMs`: since the last look. Returns true once, when that has gone on for `mostMs`.
  bool look(bool isWaiting, double sinceMs, double mostMs) {
    if (!isWaiting || takenSinceLook_ || !isWaiting_) forMs_ = 0;
    else forMs_ += sinceMs;
    takenSinceLook_ = false;
    isWaiting_ = isWaiting;
    if (!isWaiting || forMs_ < mostMs || isTold_) return false;
    isTold_ = true;
    return true;
  }

 private:
  double forMs_ = 0;
  bool isWaiting_ = false;
  bool takenSinceLook_ = false;
  bool isTold_ = false;
};

}  // namespace live
