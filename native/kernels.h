#pragma once

#include <napi.h>

void addKernels(Napi::Env env, Napi::Object exports);
