// What the addon exports: the audio kernels, what Node can't do to a thread, and the thread that moves frames.

#include <napi.h>

#include "kernels.h"
#include "live.h"
#include "slice.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  addKernels(env, exports);
  addSlice(env, exports);
  addLive(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(reelay, init)
