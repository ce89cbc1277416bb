// What the addon exports: the audio kernels, and what Node can't do to a thread.

#include <napi.h>

#include "kernels.h"
#include "slice.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  addKernels(env, exports);
  addSlice(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(reelay, init)
