#ifndef REELAY_LOAD_CALLER_H
#define REELAY_LOAD_CALLER_H

#include <stdint.h>

#include "link.h"
#include "media.h"

enum caller_state {
  caller_waits,
  caller_connects,
  caller_upgrades,
  /* Speaks, and hasn't heard anything yet. */
  caller_started,
  caller_up,
  caller_over,
};

/* One call at the provider's end. */
struct caller {
  struct link link;
  struct media media;
  enum caller_state state;
  /* The next frame that is sent and the next that must come back. */
  uint32_t next;
  uint32_t expected;
  int64_t last_sent_us;
};

#endif
