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

/*
 * Sleeps until `tick_ns` after the last time it was called for `*last_ns`. A program that is woken for every frame pays more for that
 * than for the frame; what comes meanwhile is looked at together.
 */
static inline void pause_for_tick(int64_t *last_ns, int64_t tick_ns) {
  int64_t until_ns = *last_ns + tick_ns;
  struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
  if (now_ns() < until_ns) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
  *last_ns = now_ns();
}

#endif
