#ifndef REELAY_LOAD_HANDSHAKE_H
#define REELAY_LOAD_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The upgrade of RFC 6455, section 4. */

/* Writes a client's request. Returns its length. */
size_t handshake_request(char *to, size_t room, const char *host, int port, const char *path);

/* Looks at what a server answered. Returns the answer's length when it is 101, 0 when it isn't whole, -1 for any other. */
ssize_t handshake_accepted(const uint8_t *bytes, size_t length);

/*
 * Answers a client. Returns the request's length and the answer's in `*answered`, 0 when the request isn't whole, -1 when it is none.
 */
ssize_t handshake_answer(const uint8_t *bytes, size_t length, char *to, size_t room, size_t *answered);

#endif
