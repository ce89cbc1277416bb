#ifndef REELAY_LOAD_OPTIONS_H
#define REELAY_LOAD_OPTIONS_H

#include <stdbool.h>

#include "media.h"

/* The command line: `bot` or `caller`, then `name=value`. */
struct options {
  bool is_bot;
  /* The processor that this runs on; -1: any. */
  int core;
  /* Comes before everything else on its processor. */
  bool is_first;
  /* Of the relay; the bot listens on one of its own choice. */
  int port;
  const char *path;
  enum dialect dialect;
  int calls;
  /* Calls that are being set up at once. */
  int together;
  /* Calls that begin in a second, at most; 0: as many as can. */
  int rate;
  /* Addresses 127.0.0.2 and on that calls come from in turn; 0: the usual one. */
  int sources;
  /* Silent calls: one frame each, for the proof that it is up. */
  bool is_idle;
  /* ms: until all calls must be up, then before the window, its length, and how long late frames are awaited. */
  int connect_ms;
  int settle_ms;
  int window_ms;
  int drain_ms;
};

/* Ends the program when it can't be understood. */
struct options options_read(int count, char **words);

#endif
