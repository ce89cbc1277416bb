/** What became of one thing that was looked at. */
export interface Check {
  /** For programs; one word, or two. */
  readonly name:
    | 'config'
    | 'node'
    | 'addon'
    | 'realtime'
    | 'descriptors'
    | 'memory'
    | 'port'
    | 'public url'
    | 'keys'
    | 'secrets'
    | 'prompt'
    | 'signing key'
    | 'spool'
    | 'quarantine'
    | 'clock'
    | 'upstream'
    | 'livekit'
    | 'livekit client'
    | 'store'
    | 'catalogue'
    | 'account look-up';
  /** What was looked at: a path, an address, an account. Never a secret. */
  readonly subject: string;
  /** `warning`: the daemon runs, and something will be missed. */
  readonly status: 'ok' | 'warning' | 'failed';
  readonly detail: string;
  /** What to do about it; null where nothing is to be done. */
  readonly remedy: string | null;
}

export type Findings = Omit<Check, 'name' | 'subject'>;

export function ok(detail: string): Findings {
  return { status: 'ok', detail, remedy: null };
}

export function warning(detail: string, remedy: string): Findings {
  return { status: 'warning', detail, remedy };
}

export function failed(detail: string, remedy: string): Findings {
  return { status: 'failed', detail, remedy };
}

/** How long anything outside may take to answer, ms. */
export const patienceMs = 10_000;

/** One line of an error, without its stack. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause, message } = error as Error & { cause?: unknown };
  // What `fetch` throws says nothing itself.
  const inner = message === 'fetch failed' && cause instanceof Error ? cause.message : message;
  return inner.split('\n')[0] ?? '';
}
