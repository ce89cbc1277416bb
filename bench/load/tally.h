#ifndef REELAY_LOAD_TALLY_H
#define REELAY_LOAD_TALLY_H

#include <stdint.h>

#include "histogram.h"

/* What became of all calls together. */
struct tally {
  uint64_t sent;
  uint64_t received;
  /* Numbers that were left out, and frames that came twice or behind later ones. */
  uint64_t lost;
  uint64_t misplaced;
  /* Frames that aren't as they were sent. */
  uint64_t foreign;
  /* Frames that weren't sent, because the relay had stopped reading. */
  uint64_t skipped;
  /* Sent and not come back when the program ended. */
  uint64_t outstanding;
  /* Calls that were refused, or closed before their end. */
  uint64_t refused;
  uint64_t cut;
  /* During the window. */
  uint64_t window_sent;
  uint64_t window_received;
  uint64_t frame_bytes;
  /* Of the frames that were sent in the window. */
  struct histogram round_trip;
  /* Of the program itself: from when a frame was due until it was sent. */
  struct histogram lateness;
};

/* One line of JSON. */
void tally_print(const struct tally *tally, int calls_up);

#endif
