interface Call {
  readonly from: string | null;
  readonly to: string | null;
  readonly callId: string;
}

/** Who speaks with whom, as a heading; of a call that didn't say, its id. */
export function parties({ from, to, callId }: Call): string {
  return from === null && to === null ? callId : `${from ?? 'unknown'} → ${to ?? 'unknown'}`;
}
