// How long the scheduler lets the calling thread run at once. Node has no call for it.

#include "slice.h"

#include <cstdint>

#ifdef __linux__
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

#ifdef __linux__

// As the kernel has it (sched_setattr(2)), in its first version; the C library has no call and no type for it.
struct Attributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
};

constexpr int callingThread = 0;

bool read(Attributes& attributes) {
  attributes = {};
  return syscall(SYS_sched_getattr, callingThread, &attributes, sizeof attributes, 0) == 0;
}

// Policy and niceness stay. Kernels before 6.12 take the call and keep their own slice.
bool set(uint64_t nanoseconds) {
  Attributes attributes;
  if (!read(attributes)) return false;
  if (attributes.policy != SCHED_OTHER && attributes.policy != SCHED_BATCH) return false;
  attributes.size = sizeof attributes;
  attributes.runtime = nanoseconds;
  if (syscall(SYS_sched_setattr, callingThread, &attributes, 0) != 0) return false;
  return nanoseconds == 0 || (read(attributes) && attributes.runtime == nanoseconds);
}

#else

bool set(uint64_t) { return false; }

#endif

// setThreadSlice(nanoseconds): 0 for what the kernel gives to everybody. Says whether it took effect.
Napi::Value setThreadSlice(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int64_t nanoseconds = info.Length() > 0 && info[0].IsNumber() ? info[0].As<Napi::Number>().Int64Value() : -1;
  if (nanoseconds < 0) {
    Napi::TypeError::New(env, "setThreadSlice: nanoseconds must be a number from 0").ThrowAsJavaScriptException();
    return {};
  }
  return Napi::Boolean::New(env, set(static_cast<uint64_t>(nanoseconds)));
}

}  // namespace

void addSlice(Napi::Env env, Napi::Object exports) {
  exports.Set("setThreadSlice", Napi::Function::New<setThreadSlice>(env, "setThreadSlice"));
}
