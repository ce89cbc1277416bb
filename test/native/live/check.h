// Assertions for the native tests: each failure is told with its place, and the program ends with 1 if there was any.
#pragma once

#include <cstdio>
#include <cstdlib>

inline int& failures() {
  static int count = 0;
  return count;
}

inline int& checks() {
  static int count = 0;
  return count;
}

inline void check(bool holds, const char* what, const char* file, int line) {
  checks()++;
  if (holds) return;
  failures()++;
  std::printf("not ok: %s (%s:%d)\n", what, file, line);
}

#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)

inline int verdict(const char* name) {
  std::printf("%s: %d checks, %d failed\n", name, checks(), failures());
  return failures() == 0 && checks() > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
