#ifndef REELAY_LOAD_MEDIA_H
#define REELAY_LOAD_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

/*
 * What the parties of a call say. Every frame of a caller carries its number, the time at which it was sent and whose it is, so that
 * what comes back says by itself whether anything is missing.
 */

enum dialect {
  /* JSON with base64; the bot answers with messages of its own that have the same audio. */
  dialect_twilio,
  /* JSON first, then binary PCM of 8 kHz, which the bot returns. */
  dialect_jambonz,
  /* As jambonz sends a call to a recorder: stereo, and nothing comes back. */
  dialect_record,
};

static const int frame_ms = 20;
/* The longest message of a caller. */
enum { media_bytes_max = 1024 };

struct media {
  enum dialect dialect;
  uint32_t call;
  char call_sid[35];
  char stream_sid[35];
};

struct stamp {
  uint32_t number;
  /* Of the load's own clock, us. */
  int64_t sent_us;
};

/* `run` tells the calls of one program from those of another. */
void media_begin(struct media *media, enum dialect dialect, uint32_t call, uint64_t run);

/* The messages before the audio, at most two. Returns false when there is no such message. */
bool media_opening(const struct media *media, int index, char *to, size_t room, size_t *length);

/* A frame's message. Returns its length. */
size_t media_frame(const struct media *media, struct stamp stamp, uint8_t *to);

/* The last message, where the dialect has one. Returns its length, 0 for none. */
size_t media_farewell(const struct media *media, uint32_t frames, char *to, size_t room);

enum opcode media_opcode(const struct media *media);

enum heard { heard_frame, heard_foreign, heard_other };

/* What came back: a frame of this call as it was sent, one that isn't, or a message without audio. */
enum heard media_read(const struct media *media, const struct frame *frame, struct stamp *stamp);

/* A bot's answer to a Twilio message. Returns its length at `to`, 0 when there is nothing to answer. */
size_t media_answer(const struct frame *frame, const char *stream_sid, uint8_t *to, size_t room);

/* Finds the stream of a Twilio start message. */
bool media_stream(const struct frame *frame, char stream_sid[35]);

#endif
