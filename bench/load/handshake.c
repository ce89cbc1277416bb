#include "handshake.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sha1.h"

static const char blank_line[] = "\r\n\r\n";
/* Any sixteen bytes in base64 are a key. What the server makes of it isn't checked: it is the relays that are measured. */
static const char client_key[] = "cmVlbGF5IGJlbmNoICAgIA==";
static const char key_name[] = "\r\nSec-WebSocket-Key:";
static const char key_suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
enum { key_chars = 24 };

/* Length of a header with its blank line, 0 when it isn't whole. */
static size_t header_length(const uint8_t *bytes, size_t length) {
  const uint8_t *end = memmem(bytes, length, blank_line, sizeof blank_line - 1);
  return end == NULL ? 0 : (size_t)(end - bytes) + sizeof blank_line - 1;
}

size_t handshake_request(char *to, size_t room, const char *host, int port, const char *path) {
  int length = snprintf(to, room,
                        "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
                        path, host, port, client_key);
  return (size_t)length;
}

ssize_t handshake_accepted(const uint8_t *bytes, size_t length) {
  static const char expected[] = "HTTP/1.1 101";
  size_t header = header_length(bytes, length);
  if (header == 0) return 0;
  return memcmp(bytes, expected, sizeof expected - 1) == 0 ? (ssize_t)header : -1;
}

/* Finds a header's value, whatever its name's case. */
static const char *find_key(const char *header, size_t length) {
  size_t name = sizeof key_name - 1;
  for (size_t at = 0; at + name + key_chars < length; at++) {
    if (header[at] != '\r' || strncasecmp(header + at, key_name, name) != 0) continue;
    const char *value = header + at + name;
    while (*value == ' ') value++;
    return value + key_chars <= header + length ? value : NULL;
  }
  return NULL;
}

static void encode_base64(const uint8_t *bytes, size_t length, char *to) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t at = 0; at < length; at += 3) {
    uint32_t three = (uint32_t)bytes[at] << 16;
    if (at + 1 < length) three |= (uint32_t)bytes[at + 1] << 8;
    if (at + 2 < length) three |= bytes[at + 2];
    *to++ = alphabet[three >> 18];
    *to++ = alphabet[three >> 12 & 63];
    *to++ = at + 1 < length ? alphabet[three >> 6 & 63] : '=';
    *to++ = at + 2 < length ? alphabet[three & 63] : '=';
  }
  *to = '\0';
}

ssize_t handshake_answer(const uint8_t *bytes, size_t length, char *to, size_t room, size_t *answered) {
  size_t header = header_length(bytes, length);
  if (header == 0) return 0;
  const char *key = find_key((const char *)bytes, header);
  if (key == NULL) return -1;
  uint8_t salted[key_chars + sizeof key_suffix - 1];
  memcpy(salted, key, key_chars);
  memcpy(salted + key_chars, key_suffix, sizeof key_suffix - 1);
  uint8_t digest[sha1_bytes];
  char accept[32];
  sha1(salted, sizeof salted, digest);
  encode_base64(digest, sizeof digest, accept);
  int written = snprintf(to, room,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Accept: %s\r\n\r\n",
                         accept);
  *answered = (size_t)written;
  return (ssize_t)header;
}
