#include "histogram.h"

#include <inttypes.h>
#include <stdbool.h>

static int bucket_of(uint64_t value) {
  if (value < histogram_fine) return (int)value;
  int octave = 63 - __builtin_clzll(value) - 7;
  if (octave > histogram_octaves) return histogram_buckets - 1;
  return histogram_fine + (octave - 1) * histogram_half + (int)((value >> octave) - histogram_half);
}

void histogram_add(struct histogram *histogram, int64_t us) {
  if (us < 0) us = 0;
  if (us > histogram->max) histogram->max = us;
  histogram->counts[bucket_of((uint64_t)us)]++;
}

void histogram_print(const struct histogram *histogram, FILE *to) {
  bool first = true;
  fputs("{\"counts\":[", to);
  for (int at = 0; at < histogram_buckets; at++) {
    if (histogram->counts[at] == 0) continue;
    fprintf(to, "%s[%d,%" PRIu64 "]", first ? "" : ",", at, histogram->counts[at]);
    first = false;
  }
  fprintf(to, "],\"max\":%" PRId64 "}", histogram->max);
}
