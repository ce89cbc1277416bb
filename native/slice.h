#pragma once

#include <napi.h>

void addSlice(Napi::Env env, Napi::Object exports);
