import type { Manifest } from '../spool/Manifest.js';

export type PortalFacts = Pick<
  Manifest,
  | 'recordingId'
  | 'accountId'
  | 'claimedAccountId'
  | 'callId'
  | 'direction'
  | 'from'
  | 'to'
  | 'parameters'
  | 'sampleRate'
>;

/** Longest value, characters. Eleven of these and their names stay below the 2 KiB that S3 allows an object's metadata. */
const maxValue = 128;

/**
 * Metadata of the portal's object: the names that jambonz's own recorders write, and `reelayRecordingId`. Names are of letters
 * alone, because Azure takes no other. Values are ASCII: `%`, and all that isn't printable ASCII, is percent-encoded (RFC 3986,
 * as UTF-8), so that a decoder gives the value back; longer ones are cut, empty ones left out.
 */
export function portalMetadata(facts: PortalFacts): Record<string, string> {
  const { parameters } = facts;
  const values: Record<string, unknown> = {
    accountSid: facts.claimedAccountId ?? facts.accountId,
    callSid: facts.callId,
    direction: facts.direction,
    from: facts.from,
    to: facts.to,
    callId: parameters['callId'],
    applicationSid: parameters['applicationSid'],
    originatingSipIp: parameters['originatingSipIp'],
    originatingSipTrunkName: parameters['originatingSipTrunkName'],
    sampleRate: facts.sampleRate,
    reelayRecordingId: facts.recordingId,
  };
  const entries = Object.entries(values).map(([name, value]) => [name, plain(value)] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== ''));
}

function plain(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') return '';
  let text = '';
  // The way through bytes replaces halves of surrogate pairs, which nothing can encode.
  for (const character of Buffer.from(String(value)).toString().trim()) {
    const next = /[ -$&-~]/.test(character) ? character : encodeURIComponent(character);
    if (text.length + next.length > maxValue) break;
    text += next;
  }
  return text.trimEnd();
}
