#include "tally.h"

#include <inttypes.h>
#include <stdio.h>

void tally_print(const struct tally *tally, int calls_up) {
  const struct {
    const char *name;
    uint64_t value;
  } counts[] = {
      {"sent", tally->sent},
      {"received", tally->received},
      {"lost", tally->lost},
      {"misplaced", tally->misplaced},
      {"foreign", tally->foreign},
      {"skipped", tally->skipped},
      {"outstanding", tally->outstanding},
      {"refused", tally->refused},
      {"cut", tally->cut},
      {"windowSent", tally->window_sent},
      {"windowReceived", tally->window_received},
      {"frameBytes", tally->sent == 0 ? 0 : tally->frame_bytes / tally->sent},
  };
  printf("{\"event\":\"report\",\"up\":%d", calls_up);
  for (size_t at = 0; at < sizeof counts / sizeof *counts; at++)
    printf(",\"%s\":%" PRIu64, counts[at].name, counts[at].value);
  fputs(",\"roundTrip\":", stdout);
  histogram_print(&tally->round_trip, stdout);
  fputs(",\"lateness\":", stdout);
  histogram_print(&tally->lateness, stdout);
  puts("}");
  fflush(stdout);
}
