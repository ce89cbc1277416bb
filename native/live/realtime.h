// Real time for one thread (sched(7), SCHED_RR): whatever isn't in real time itself comes behind it.
#pragma once

#include <pthread.h>
#include <sched.h>

namespace live {

// False: the system doesn't allow it, and nothing has changed.
inline bool comeFirst(pthread_t thread) {
  sched_param lowest{};
  lowest.sched_priority = sched_get_priority_min(SCHED_RR);
  return pthread_setschedparam(thread, SCHED_RR, &lowest) == 0;
}

// Whether a thread of this process may. One tries it, and ends: capabilities and limits don't say what a user namespace or a control
// group forbids.
inline bool mayComeFirst() {
  bool may = false;
  pthread_t thread;
  const auto attempt = [](void* answer) -> void* {
    *static_cast<bool*>(answer) = comeFirst(pthread_self());
    return nullptr;
  };
  if (pthread_create(&thread, nullptr, attempt, &may) != 0) return false;
  pthread_join(thread, nullptr);
  return may;
}

}  // namespace live
