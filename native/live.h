#pragma once

#include <napi.h>

void addLive(Napi::Env env, Napi::Object exports);
