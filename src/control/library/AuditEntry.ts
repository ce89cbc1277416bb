import { z } from 'zod';

/** Who did what with a recording. */
export interface AuditEntry {
  /** ISO 8601. */
  readonly time: string;
  readonly accountId: string;
  /** '' of a list of the account's recordings or calls, and of a recording that wasn't begun. */
  readonly recordingId: string;
  /** Name of the key, `a link`, or `this machine`. */
  readonly who: string;
  /** Address that it came from; a proxy's where there is one. */
  readonly address: string;
  /** Method and route, as the API has it: `GET /v1/recordings/:id/audio.wav`. */
  readonly deed: string;
  /** HTTP status of the answer. */
  readonly status: number;
  /** The connection was closed before the whole answer was on its way. What was asked for was done all the same. */
  readonly isBrokenOff?: true | undefined;
}

const entry: z.ZodType<AuditEntry> = z.looseObject({
  time: z.iso.datetime(),
  accountId: z.string().min(1),
  recordingId: z.string(),
  who: z.string(),
  address: z.string(),
  deed: z.string(),
  status: z.number(),
  isBrokenOff: z.literal(true).optional(),
});

/** As they lie in files and objects: one JSON document a line. */
export function linesOf(entries: readonly AuditEntry[]): string {
  return entries.map((each) => `${JSON.stringify(each)}\n`).join('');
}

/** A line that a crash has cut isn't one. */
export function entriesIn(text: string): AuditEntry[] {
  return text.split('\n').flatMap((line) => {
    try {
      const { success, data } = entry.safeParse(JSON.parse(line));
      return success ? [data] : [];
    } catch {
      return [];
    }
  });
}
