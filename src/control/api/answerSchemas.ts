import { z } from 'zod';
import { keyScopes } from '../../config/ApiKey.js';
import { eventTypes } from '../../config/eventTypes.js';
import { documentSchemas } from '../../spool/documentSchemas.js';

/*
 * What answers look like, for `/openapi.json`. Keys may be added to each of them, so whoever reads one ignores what it doesn't know.
 */
const count = z.int().nonnegative();
const time = z.iso.datetime();
const text = z.string().nullable();
const state = z.enum(['recording', 'uploading', 'complete', 'interrupted', 'failed']);
const role = z.enum(['caller', 'bot', 'mixed']);
const channels = z.array(z.looseObject({ role })).min(1);
const recordingSwitch = z.enum(['running', 'paused', 'stopped', 'awaited', 'off']);

const entry = z.looseObject({
  recordingId: z.string(),
  accountId: z.string(),
  provider: z.string(),
  callId: z.string(),
  state,
  reason: text,
  from: text,
  to: text,
  direction: text,
  startTime: time,
  endTime: time.nullable(),
  sampleRate: z.int().positive(),
  channels: z.int().positive(),
  samples: count,
  durationSeconds: z.number().nonnegative(),
  completeness: z.array(z.number().min(0).max(1)),
  folder: z.string(),
});

const call = z.looseObject({
  recordingId: text,
  recording: recordingSwitch,
  accountId: z.string(),
  provider: z.string(),
  callId: z.string(),
  from: text,
  to: text,
  direction: text,
  startTime: time,
  streams: z.array(z.string()),
  upstream: z.enum(['none', 'connecting', 'open', 'lost']),
  room: z
    .looseObject({
      name: z.string(),
      sid: z.string(),
      presence: z.enum(['joining', 'joined', 'silent', 'audible', 'reconnecting']),
      lanes: z.array(z.string()),
    })
    .optional(),
  samples: count,
  seconds: z.number().nonnegative(),
  peaks: z.array(z.number().min(0).max(32_768)),
});

/** There is a recording, and not yet what was asked for. */
const notYet = z.looseObject({
  recordingId: z.string(),
  state,
  retryAfterSeconds: z.number().positive(),
});

const waveform = z.looseObject({
  schema: z.literal(1),
  recordingId: z.string(),
  lane: z.string().optional(),
  state,
  sampleRate: z.int().positive(),
  samples: count,
  channels,
  bits: z.literal(8),
  levels: z.array(
    z.looseObject({
      samplesPerBin: z.int().positive(),
      bins: count,
      peaks: z.array(z.array(z.int().min(-128).max(127))),
    }),
  ),
});

const stretch = {
  startSample: count,
  samples: count,
  startTime: time,
  endTime: time,
  startSeconds: z.number(),
  endSeconds: z.number(),
};
const segments = z.looseObject({
  schema: z.literal(1),
  recordingId: z.string(),
  callId: z.string(),
  lane: z.string().optional(),
  state,
  startTime: time,
  sampleRate: z.int().positive(),
  samples: count,
  channels,
  segments: z.array(
    z.looseObject({ channel: count, role, ...stretch, levelDb: z.number(), isOpen: z.boolean() }),
  ),
  events: z.array(z.looseObject({ type: z.string(), sample: z.number(), time, seconds: z.number() })),
  gaps: z.array(z.looseObject({ channel: count, cause: z.string(), ...stretch })),
});

const delivery = z.looseObject({
  eventId: z.string(),
  endpoint: z.string(),
  type: z.enum(eventTypes),
  state: z.enum(['waiting', 'delivered', 'givenUp']),
  tries: count,
  problem: text,
  createdTime: time,
  nextTime: time.optional(),
  settledTime: time.optional(),
});

const deed = z.looseObject({
  time,
  accountId: z.string(),
  recordingId: z.string(),
  who: z.string(),
  address: z.string(),
  deed: z.string(),
  status: z.int(),
  isBrokenOff: z.literal(true).optional(),
});

const worker = z.enum(['starting', 'ready', 'restarting', 'stuck']);
const media = z.enum(['ready', 'overloaded', 'draining']);
const readiness = z.looseObject({
  ready: z.boolean(),
  status: media,
  recording: z.string(),
  threads: z.looseObject({
    media,
    recorder: z.enum([...worker.options, 'blocked']),
    control: worker,
    rooms: worker.optional(),
  }),
});

/** By what they are of. */
export const answerSchemas = {
  calls: z.looseObject({ calls: z.array(call) }),
  recordings: z.looseObject({ recordings: z.array(entry), next: text }),
  manifest: documentSchemas.manifest,
  sidecar: documentSchemas.sidecar,
  notYet,
  waveform,
  segments,
  /** What has become of a call's recording. */
  told: z.looseObject({ recordingId: z.string(), recording: recordingSwitch }),
  roomTold: z.looseObject({ recordingId: z.string(), callId: z.string(), recording: recordingSwitch }),
  gone: z.looseObject({
    recordingId: z.string(),
    deletedTime: time,
    cause: z.enum(['request', 'retention']),
  }),
  hold: z.looseObject({
    recordingId: z.string(),
    accountId: z.string(),
    note: text,
    by: z.string(),
    since: time,
  }),
  deliveries: z.looseObject({ deliveries: z.array(delivery) }),
  replayed: z.looseObject({ deliveries: count }),
  link: z.looseObject({ path: z.string(), expires: time }),
  audit: z.looseObject({ entries: z.array(deed), next: time.nullable() }),
  session: z.looseObject({ name: z.string(), isAdmin: z.boolean(), scopes: z.array(z.enum(keyScopes)) }),
  health: z.looseObject({ status: z.literal('ok') }),
  readiness,
  description: z.looseObject({ openapi: z.string() }),
};
