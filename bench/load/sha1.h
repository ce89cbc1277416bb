#ifndef REELAY_LOAD_SHA1_H
#define REELAY_LOAD_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { sha1_bytes = 20 };

/* SHA-1 (RFC 3174) of at most 119 bytes, which is more than an upgrade's key takes. */
void sha1(const uint8_t *bytes, size_t length, uint8_t digest[sha1_bytes]);

#endif
