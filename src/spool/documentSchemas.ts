import { z } from 'zod';
import { laneNamePattern } from './layout.js';
import type { GapCause, Manifest, Sidecar } from './Manifest.js';

/*
 * The documents of a recording as they are read back, from disks and buckets that others can write to. Keys that this version
 * doesn't know are kept and ignored, so that a later version may add some within the same schema number.
 */
const count = z.int().nonnegative();
const hash = z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256 in lower-case hex');
const time = z.iso.datetime();
/** What the fields of a WAV header hold; nothing that reelay records comes near. */
const sampleRate = z.int().positive().max(1_000_000);
const channels = z
  .array(z.looseObject({ role: z.enum(['caller', 'bot', 'mixed']) }))
  .min(1)
  .max(64);
const gapCauses = {
  lost_by_provider: 'lost_by_provider',
  between_streams: 'between_streams',
  client_overrun: 'client_overrun',
  dropped_by_reelay: 'dropped_by_reelay',
  journal_damaged: 'journal_damaged',
  paused: 'paused',
  room_left: 'room_left',
} satisfies { readonly [Cause in GapCause]: Cause };
const gap = z.looseObject({
  channel: count,
  startSample: count,
  samples: count,
  cause: z.enum(gapCauses),
  skippedSamples: count.optional(),
});

/** A lane's name is part of a file's, whoever wrote it down. */
const lane = z.string().regex(laneNamePattern, 'not the name of a lane');
const chunkLane = z.looseObject({ lane, bytes: count, sha256: hash });
const endReason = z.enum(['stop', 'closed', 'lost', 'relay']).nullable();

const whose = {
  schema: z.literal(1),
  recordingId: z.string().min(1),
  callId: z.string().min(1),
  accountId: z.string().min(1),
  provider: z.string().min(1),
};

const sidecar: z.ZodType<Sidecar> = z.looseObject({
  ...whose,
  index: count,
  startTime: time,
  startSample: count,
  samples: count,
  sampleRate,
  channels,
  gaps: z.array(gap),
  bytes: count,
  sha256: hash,
  previousSha256: hash.nullable(),
  lanes: z
    .array(
      z.looseObject({
        ...chunkLane.shape,
        identity: z.string(),
        source: z.string(),
        samples: count,
        gaps: z.array(gap),
        concealedSamples: count.optional(),
      }),
    )
    .optional(),
});

const manifest: z.ZodType<Manifest> = z.looseObject({
  ...whose,
  state: z.enum(['recording', 'uploading', 'complete', 'interrupted', 'failed']),
  reason: z.string().nullable(),
  from: z.string().nullable(),
  to: z.string().nullable(),
  direction: z.string().nullable(),
  parameters: z.record(z.string(), z.unknown()),
  startTime: time,
  endTime: time.nullable(),
  sampleRate,
  channels,
  samples: count,
  durationSeconds: z.number().nonnegative(),
  chunkSeconds: z.number().positive(),
  chunks: z.array(
    z.looseObject({
      index: count,
      startSample: count,
      samples: count,
      bytes: count,
      sha256: hash,
      sidecarSha256: hash,
      lanes: z.array(chunkLane).optional(),
    }),
  ),
  streams: z.array(
    z.looseObject({
      streamId: z.string(),
      role: z.enum(['call', 'oneway', 'tap', 'lane']),
      startSample: count,
      endSample: count.nullable(),
      endReason,
    }),
  ),
  events: z.array(z.looseObject({ type: z.string(), sample: z.number() })),
  gaps: z.array(gap),
  completeness: z.array(z.number().min(0).max(1)),
  playout: z.looseObject({
    marks: count,
    medianMs: z.number().nullable(),
    maxMs: z.number().nullable(),
  }),
  layout: z.enum(['chunks', 'single', 'both', 'jambonz']).optional(),
  audio: z
    .array(
      z.looseObject({
        key: z.string().min(1),
        format: z.enum(['wav', 'mp3']),
        bytes: count,
        sha256: hash,
      }),
    )
    .optional(),
  claimedAccountId: z.string().optional(),
  room: z.looseObject({ name: z.string(), sid: z.string().nullable() }).optional(),
  lanes: z
    .array(
      z.looseObject({
        lane,
        identity: z.string(),
        name: z.string(),
        kind: z.string(),
        source: z.string(),
        presence: z.array(
          z.looseObject({
            streamId: z.string(),
            sid: z.string(),
            joinedSample: count,
            leftSample: count.nullable(),
            endReason,
          }),
        ),
        gaps: z.array(gap),
      }),
    )
    .optional(),
});

/** What a sidecar and a manifest must look like to be read at all; whether they tell the truth is `Verification`'s part. */
export const documentSchemas = { sidecar, manifest };
