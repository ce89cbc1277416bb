#ifndef REELAY_LOAD_HISTOGRAM_H
#define REELAY_LOAD_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

/*
 * Durations in microseconds, with the buckets of bench/LogHistogram.ts: one for each value below 256, and above that 128 for each
 * doubling, so that a bucket is less than 1 % wide.
 */
enum { histogram_fine = 256, histogram_half = 128, histogram_octaves = 20 };
enum { histogram_buckets = histogram_fine + histogram_octaves * histogram_half };

struct histogram {
  uint64_t counts[histogram_buckets];
  int64_t max;
};

void histogram_add(struct histogram *histogram, int64_t us);

/* As JSON: `{"counts":[[bucket,count],…],"max":…}`, without the buckets that are empty. */
void histogram_print(const struct histogram *histogram, FILE *to);

#endif
