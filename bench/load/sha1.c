#include "sha1.h"

#include <string.h>

enum { block_bytes = 64 };

static uint32_t rotate(uint32_t word, int by) { return word << by | word >> (32 - by); }

static void mix_block(uint32_t state[5], const uint8_t *block) {
  uint32_t words[80];
  for (int at = 0; at < 16; at++) {
    const uint8_t *from = block + 4 * at;
    words[at] = (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
  }
  for (int at = 16; at < 80; at++)
    words[at] = rotate(words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16], 1);
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int at = 0; at < 80; at++) {
    uint32_t chosen, constant;
    if (at < 20) chosen = (b & c) | (~b & d), constant = 0x5a827999;
    else if (at < 40) chosen = b ^ c ^ d, constant = 0x6ed9eba1;
    else if (at < 60) chosen = (b & c) | (b & d) | (c & d), constant = 0x8f1bbcdc;
    else chosen = b ^ c ^ d, constant = 0xca62c1d6;
    uint32_t next = rotate(a, 5) + chosen + e + words[at] + constant;
    e = d;
    d = c;
    c = rotate(b, 30);
    b = a;
    a = next;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

void sha1(const uint8_t *bytes, size_t length, uint8_t digest[sha1_bytes]) {
  uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  uint8_t padded[2 * block_bytes] = {0};
  memcpy(padded, bytes, length);
  padded[length] = 0x80;
  size_t whole = length + 9 <= block_bytes ? block_bytes : 2 * block_bytes;
  uint64_t bits = (uint64_t)length * 8;
  for (int at = 0; at < 8; at++) padded[whole - 1 - (size_t)at] = (uint8_t)(bits >> (8 * at));
  for (size_t at = 0; at < whole; at += block_bytes) mix_block(state, padded + at);
  for (int at = 0; at < sha1_bytes; at++) digest[at] = (uint8_t)(state[at / 4] >> (24 - 8 * (at % 4)));
}
