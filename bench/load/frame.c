#include "frame.h"

#include <string.h>

/* A word at a time: the compiler makes vectors of it. */
static void toggle_mask(uint8_t *bytes, size_t length, uint32_t mask) {
  uint64_t wide = (uint64_t)mask << 32 | mask;
  size_t at = 0;
  for (; at + sizeof wide <= length; at += sizeof wide) {
    uint64_t word;
    memcpy(&word, bytes + at, sizeof word);
    word ^= wide;
    memcpy(bytes + at, &word, sizeof word);
  }
  for (uint8_t key[sizeof wide]; at < length; at++) {
    memcpy(key, &wide, sizeof key);
    bytes[at] ^= key[at % sizeof key];
  }
}

ssize_t frame_read(uint8_t *bytes, size_t length, struct frame *frame) {
  if (length < 2) return 0;
  if ((bytes[0] & 0x70) != 0) return -1;
  size_t header = 2;
  uint64_t payload = bytes[1] & 0x7f;
  size_t wide = payload == 126 ? 2 : payload == 127 ? 8 : 0;
  bool is_masked = (bytes[1] & 0x80) != 0;
  if (length < header + wide + (is_masked ? 4 : 0)) return 0;
  if (wide > 0) {
    payload = 0;
    for (size_t at = 0; at < wide; at++) payload = payload << 8 | bytes[header + at];
    header += wide;
  }
  uint32_t mask = 0;
  if (is_masked) {
    memcpy(&mask, bytes + header, sizeof mask);
    header += sizeof mask;
  }
  if (payload > length - header) return 0;
  frame->opcode = bytes[0] & 0x0f;
  frame->is_final = (bytes[0] & 0x80) != 0;
  frame->payload = bytes + header;
  frame->length = (size_t)payload;
  if (mask != 0) toggle_mask(frame->payload, frame->length, mask);
  return (ssize_t)(header + frame->length);
}

uint8_t *frame_wrap(uint8_t *to, enum opcode opcode, const void *payload, size_t length, const uint32_t *mask,
                    size_t *whole) {
  size_t wide = length < 126 ? 0 : length < 65536 ? 2 : 8;
  size_t header = 2 + wide + (mask == NULL ? 0 : sizeof *mask);
  uint8_t *body = to + frame_header_max;
  if (payload != body) memcpy(body, payload, length);
  uint8_t *start = body - header;
  start[0] = (uint8_t)(0x80 | opcode);
  start[1] = (uint8_t)((mask == NULL ? 0 : 0x80) | (wide == 0 ? length : wide == 2 ? 126 : 127));
  for (size_t at = 0; at < wide; at++) start[2 + at] = (uint8_t)(length >> (8 * (wide - 1 - at)));
  if (mask != NULL) {
    memcpy(body - sizeof *mask, mask, sizeof *mask);
    toggle_mask(body, length, *mask);
  }
  *whole = header + length;
  return start;
}
