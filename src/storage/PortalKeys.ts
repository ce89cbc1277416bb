import type { Manifest, WholeAudio } from '../spool/Manifest.js';
import type { ObjectStore } from './ObjectStore.js';
import { hashOf } from './unlinkConfirmed.js';

/** Of a recording, what decides under which key jambonz's portal looks for it. */
export type PortalCall = Pick<
  Manifest,
  'recordingId' | 'callId' | 'startTime' | 'endTime' | 'durationSeconds'
>;

/** What the portal's object will hold. */
export type PortalContent = Pick<WholeAudio, 'format' | 'bytes' | 'sha256'>;

/**
 * Key of the object that jambonz's portal asks for: `YYYY/MM/DD/<callSid>.<format>`, dated at the call's end as jambonz's SBC
 * dates its record of the call (`recording_url`), in the SBC's own time zone.
 *
 * @param timeZone - IANA name
 * @param attempt - from 1; later ones are for further recordings of one call, which the portal doesn't show
 */
export function portalKey(
  { callId, startTime, endTime, durationSeconds }: Omit<PortalCall, 'recordingId'>,
  format: WholeAudio['format'],
  timeZone: string,
  attempt = 1,
): string {
  const end = endTime === null ? Date.parse(startTime) + durationSeconds * 1000 : Date.parse(endTime);
  const suffix = attempt === 1 ? '' : `-${attempt}`;
  return `${dateIn(timeZone, end)}/${callId}${suffix}.${format}`;
}

/** @returns `YYYY/MM/DD` of that moment, ms since the Unix epoch, on the calendars of that zone */
function dateIn(timeZone: string, ms: number): string {
  const options = { timeZone, calendar: 'gregory', numberingSystem: 'latn' } as const;
  const format = new Intl.DateTimeFormat('en', {
    ...options,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  });
  const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, value]));
  return [parts.get('year')?.padStart(4, '0'), parts.get('month'), parts.get('day')].join('/');
}

export interface ClaimedKey {
  readonly key: string;
  /** An earlier attempt has stored the object. */
  readonly isStored: boolean;
}

/**
 * Gives out the portal's keys, which several recordings of one call would share: each goes to one recording, and an object that
 * is there already is never written over. Claims are of this process; of several daemons that store one call's recordings
 * into one bucket in the same moment, nothing here knows.
 */
export class PortalKeys {
  /** Recording by place and key. */
  readonly #claims = new Map<string, string>();

  /**
   * The first key that is free, or that holds this recording's own object. It stays claimed until {@link release}.
   *
   * @param noted - the key that was chosen before a restart; only an object there can be this recording's own
   * @throws the store's error
   */
  async claim(
    store: ObjectStore,
    call: PortalCall,
    content: PortalContent,
    { timeZone, noted = null }: { readonly timeZone: string; readonly noted?: string | null },
  ): Promise<ClaimedKey> {
    if (noted !== null) {
      const own = await this.#tryClaim(store, call, noted, content);
      if (own !== null) return own;
    }
    for (let attempt = 1; ; attempt++) {
      const found = await this.#tryClaim(store, call, portalKey(call, content.format, timeZone, attempt));
      if (found !== null) return found;
    }
  }

  /** The recording's object is stored, or won't be. */
  release({ recordingId }: Pick<PortalCall, 'recordingId'>): void {
    for (const [key, claimant] of this.#claims) if (claimant === recordingId) this.#claims.delete(key);
  }

  /** @param own - what the object there may be; without it every object is somebody else's */
  async #tryClaim(
    store: ObjectStore,
    { recordingId }: PortalCall,
    key: string,
    own?: PortalContent,
  ): Promise<ClaimedKey | null> {
    const place = `${store.name} ${key}`;
    if ((this.#claims.get(place) ?? recordingId) !== recordingId) return null;
    this.#claims.set(place, recordingId);
    let claimed: ClaimedKey | null = null;
    try {
      const bytes = await store.size(key);
      if (bytes === null) claimed = { key, isStored: false };
      else if (bytes === own?.bytes && (await hashOf(await store.read(key))) === own.sha256)
        claimed = { key, isStored: true };
      return claimed;
    } finally {
      if (claimed === null) this.#claims.delete(place);
    }
  }
}
