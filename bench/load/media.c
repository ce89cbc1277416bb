#include "media.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char media_mark[] = "{\"event\":\"media\"";
static const char payload_mark[] = "\"payload\":\"";
static const char stream_mark[] = "\"streamSid\":\"";
static const char before_number[] = "{\"event\":\"media\",\"sequenceNumber\":\"";
static const char before_chunk[] = "\",\"media\":{\"track\":\"inbound\",\"chunk\":\"";
static const char before_timestamp[] = "\",\"timestamp\":\"";
static const char before_payload[] = "\",\"payload\":\"";
static const char before_stream[] = "\"},\"streamSid\":\"";
static const char before_answer_stream[] = "{\"event\":\"media\",\"streamSid\":\"";
static const char before_answer_payload[] = "\",\"media\":{\"payload\":\"";

/* 160 bytes of mu-law in base64: the head in digits of six bits, and behind it what is the same in every frame. */
enum { text_chars = 216, number_digits = 5, time_digits = 7, call_digits = 4, head_digits = 16 };
enum { sid_chars = 34, mono_bytes = 320, stereo_bytes = 640, head_bytes = 16 };

void media_begin(struct media *media, enum dialect dialect, uint32_t call, uint64_t run) {
  media->dialect = dialect;
  media->call = call;
  snprintf(media->call_sid, sizeof media->call_sid, "CA%016" PRIx64 "%016" PRIx32, run, call);
  snprintf(media->stream_sid, sizeof media->stream_sid, "MZ%016" PRIx64 "%016" PRIx32, run, call);
}

bool media_opening(const struct media *media, int index, char *to, size_t room, size_t *length) {
  int written = 0;
  if (media->dialect == dialect_twilio && index == 0) {
    written = snprintf(to, room, "{\"event\":\"connected\",\"protocol\":\"Call\",\"version\":\"1.0.0\"}");
  } else if (media->dialect == dialect_twilio && index == 1) {
    written = snprintf(to, room,
                       "{\"event\":\"start\",\"sequenceNumber\":\"1\",\"start\":{\"accountSid\":\"ACbench\","
                       "\"streamSid\":\"%s\",\"callSid\":\"%s\",\"tracks\":[\"inbound\"],\"mediaFormat\":"
                       "{\"encoding\":\"audio/x-mulaw\",\"sampleRate\":8000,\"channels\":1},"
                       "\"customParameters\":{}},\"streamSid\":\"%s\"}",
                       media->stream_sid, media->call_sid, media->stream_sid);
  } else if (media->dialect != dialect_twilio && index == 0) {
    written = snprintf(to, room,
                       "{\"sampleRate\":8000,\"mixType\":\"%s\",\"direction\":\"inbound\",\"callSid\":\"%s\","
                       "\"accountSid\":\"ACbench\",\"callId\":\"%s@127.0.0.1\",\"from\":\"+15550100\","
                       "\"to\":\"+15550101\",\"callStatus\":\"in-progress\"}",
                       media->dialect == dialect_record ? "stereo" : "mono", media->call_sid, media->call_sid);
  }
  *length = (size_t)written;
  return written > 0;
}

static void write_digits(uint8_t *to, uint64_t value, int digits) {
  for (int at = digits - 1; at >= 0; at--) {
    to[at] = (uint8_t)alphabet[value & 63];
    value >>= 6;
  }
}

static bool read_digits(const uint8_t *from, int digits, uint64_t *value) {
  static int8_t values[256];
  if (values['B'] == 0) {
    memset(values, -1, sizeof values);
    for (int at = 0; at < 64; at++) values[(uint8_t)alphabet[at]] = (int8_t)at;
  }
  *value = 0;
  for (int at = 0; at < digits; at++) {
    int digit = values[from[at]];
    if (digit < 0) return false;
    *value = *value << 6 | (uint64_t)digit;
  }
  return true;
}

/* Behind the head. */
static const uint8_t *pattern(void) {
  static uint8_t bytes[stereo_bytes];
  if (bytes[0] == 0) {
    for (size_t at = 0; at < sizeof bytes; at++) bytes[at] = (uint8_t)alphabet[(at * 29 + 7) % 64];
  }
  return bytes;
}

static uint8_t *put(uint8_t *to, const char *text, size_t length) {
  memcpy(to, text, length);
  return to + length;
}

static uint8_t *put_number(uint8_t *to, uint64_t number) {
  uint8_t digits[20];
  int count = 0;
  do {
    digits[count++] = (uint8_t)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  while (count > 0) *to++ = digits[--count];
  return to;
}

static size_t twilio_frame(const struct media *media, struct stamp stamp, uint8_t *to) {
  uint8_t *at = put(to, before_number, sizeof before_number - 1);
  at = put_number(at, (uint64_t)stamp.number + 2);
  at = put(at, before_chunk, sizeof before_chunk - 1);
  at = put_number(at, (uint64_t)stamp.number + 1);
  at = put(at, before_timestamp, sizeof before_timestamp - 1);
  at = put_number(at, (uint64_t)stamp.number * (uint64_t)frame_ms);
  at = put(at, before_payload, sizeof before_payload - 1);
  write_digits(at, stamp.number, number_digits);
  write_digits(at + number_digits, (uint64_t)stamp.sent_us, time_digits);
  write_digits(at + number_digits + time_digits, media->call, call_digits);
  memcpy(at + head_digits, pattern(), text_chars - head_digits);
  at = put(at + text_chars, before_stream, sizeof before_stream - 1);
  at = put(at, media->stream_sid, sid_chars);
  at = put(at, "\"}", 2);
  return (size_t)(at - to);
}

size_t media_frame(const struct media *media, struct stamp stamp, uint8_t *to) {
  if (media->dialect == dialect_twilio) return twilio_frame(media, stamp, to);
  size_t bytes = media->dialect == dialect_record ? stereo_bytes : mono_bytes;
  memcpy(to, &stamp.number, 4);
  memcpy(to + 4, &stamp.sent_us, 8);
  memcpy(to + 12, &media->call, 4);
  memcpy(to + head_bytes, pattern(), bytes - head_bytes);
  return bytes;
}

size_t media_farewell(const struct media *media, uint32_t frames, char *to, size_t room) {
  if (media->dialect != dialect_twilio) return 0;
  return (size_t)snprintf(to, room,
                          "{\"event\":\"stop\",\"sequenceNumber\":\"%" PRIu64 "\",\"stop\":{\"accountSid\":\"ACbench\","
                          "\"callSid\":\"%s\"},\"streamSid\":\"%s\"}",
                          (uint64_t)frames + 2, media->call_sid, media->stream_sid);
}

enum opcode media_opcode(const struct media *media) {
  return media->dialect == dialect_twilio ? opcode_text : opcode_binary;
}

/* The payload of a media message, which ends with a quotation mark. */
static const uint8_t *find_payload(const struct frame *frame, size_t *length) {
  size_t mark = sizeof media_mark - 1;
  if (frame->length < mark || memcmp(frame->payload, media_mark, mark) != 0) return NULL;
  const uint8_t *end = frame->payload + frame->length;
  const uint8_t *found = memmem(frame->payload + mark, frame->length - mark, payload_mark, sizeof payload_mark - 1);
  if (found == NULL) return NULL;
  found += sizeof payload_mark - 1;
  const uint8_t *quote = memchr(found, '"', (size_t)(end - found));
  if (quote == NULL) return NULL;
  *length = (size_t)(quote - found);
  return found;
}

static enum heard read_text(const struct media *media, const struct frame *frame, struct stamp *stamp) {
  size_t length = 0;
  const uint8_t *payload = find_payload(frame, &length);
  if (payload == NULL) return heard_other;
  uint64_t number, sent, call;
  if (length != text_chars || !read_digits(payload, number_digits, &number) ||
      !read_digits(payload + number_digits, time_digits, &sent) ||
      !read_digits(payload + number_digits + time_digits, call_digits, &call) || call != media->call ||
      memcmp(payload + head_digits, pattern(), text_chars - head_digits) != 0)
    return heard_foreign;
  *stamp = (struct stamp){.number = (uint32_t)number, .sent_us = (int64_t)sent};
  return heard_frame;
}

enum heard media_read(const struct media *media, const struct frame *frame, struct stamp *stamp) {
  if (!frame->is_final) return heard_foreign;
  if (media->dialect == dialect_twilio) {
    return frame->opcode == opcode_text ? read_text(media, frame, stamp) : heard_foreign;
  }
  if (frame->opcode == opcode_text) return heard_other;
  uint32_t call;
  if (media->dialect == dialect_record || frame->length != mono_bytes) return heard_foreign;
  memcpy(&stamp->number, frame->payload, 4);
  memcpy(&stamp->sent_us, frame->payload + 4, 8);
  memcpy(&call, frame->payload + 12, 4);
  bool is_own = call == media->call && memcmp(frame->payload + head_bytes, pattern(), mono_bytes - head_bytes) == 0;
  return is_own ? heard_frame : heard_foreign;
}

size_t media_answer(const struct frame *frame, const char *stream_sid, uint8_t *to, size_t room) {
  size_t length = 0;
  const uint8_t *payload = find_payload(frame, &length);
  if (payload == NULL || length + 128 > room) return 0;
  uint8_t *at = put(to, before_answer_stream, sizeof before_answer_stream - 1);
  at = put(at, stream_sid, strlen(stream_sid));
  at = put(at, before_answer_payload, sizeof before_answer_payload - 1);
  at = put(at, (const char *)payload, length);
  at = put(at, "\"}}", 3);
  return (size_t)(at - to);
}

bool media_stream(const struct frame *frame, char stream_sid[35]) {
  static const char start_mark[] = "{\"event\":\"start\"";
  size_t mark = sizeof start_mark - 1;
  if (frame->length < mark || memcmp(frame->payload, start_mark, mark) != 0) return false;
  const uint8_t *end = frame->payload + frame->length;
  const uint8_t *found = memmem(frame->payload, frame->length, stream_mark, sizeof stream_mark - 1);
  if (found == NULL) return false;
  found += sizeof stream_mark - 1;
  if (end - found < sid_chars) return false;
  memcpy(stream_sid, found, sid_chars);
  stream_sid[sid_chars] = '\0';
  return true;
}
