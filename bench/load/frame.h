#ifndef REELAY_LOAD_FRAME_H
#define REELAY_LOAD_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Frames of RFC 6455, section 5.2. */

enum opcode { opcode_text = 1, opcode_binary = 2, opcode_close = 8, opcode_ping = 9, opcode_pong = 10 };

/* The longest header: two bytes, eight of length, four of mask. */
enum { frame_header_max = 14 };

struct frame {
  uint8_t opcode;
  bool is_final;
  uint8_t *payload;
  size_t length;
};

/*
 * Reads the frame at the beginning of `bytes`, and unmasks it there once it is whole.
 * Returns how many bytes it takes, 0 when it isn't whole yet, -1 for reserved bits, which nobody has negotiated.
 */
ssize_t frame_read(uint8_t *bytes, size_t length, struct frame *frame);

/*
 * Writes a final frame. `mask`: a client's, null for a server, which doesn't mask (section 5.1). `payload` may lie at
 * `to + frame_header_max` or apart from it. Returns where the frame begins behind `to`, and its length in `*whole`.
 */
uint8_t *frame_wrap(uint8_t *to, enum opcode opcode, const void *payload, size_t length, const uint32_t *mask,
                    size_t *whole);

#endif
