/** What an account's webhooks may be told of its recordings. */
export const eventTypes = [
  'recording.started',
  'recording.chunk.stored',
  'recording.stalled',
  'recording.completed',
  'recording.interrupted',
  'recording.failed',
] as const;
export type EventType = (typeof eventTypes)[number];
