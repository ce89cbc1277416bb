#ifndef REELAY_LOAD_CLOCK_H
#define REELAY_LOAD_CLOCK_H

#include <stdint.h>
#include <time.h>

static const int64_t ns_per_us = 1000;
static const int64_t ns_per_ms = 1000000;

/* Monotonic time, ns. */
static inline int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
