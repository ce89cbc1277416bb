import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** What a link opens. */
export interface Shared {
  readonly recordingId: string;
  /** Whose it was when the link was made. The same id under another account is another recording. */
  readonly accountId: string;
}

/** A request, as far as links go. */
type Routed = Pick<IncomingMessage, 'url'>;

/** A link lasts at most this long, s: 30 days. */
export const mostLinkSeconds = 30 * 86_400;
/** What of a recording may be had through a link; the manifest, with the numbers of both parties, may not. */
const sharedNames: ReadonlySet<string> = new Set([
  'audio.wav',
  'waveform.json',
  'waveform.dat',
  'segments.json',
]);
const version = 1;

/**
 * Links that open one recording's audio for whoever has them, until they expire. A link carries all it says, signed (HMAC with SHA-256),
 * so nothing is kept; what takes all of them back is another key.
 *
 *     /shared/<what it opens, base64url>.<signature, base64url>/audio.wav
 */
export class ShareLinks {
  readonly #key: () => Buffer;
  /** What the links of requests that are under way open. */
  readonly #opened = new WeakMap<Routed, Shared>();

  /** @param key - at least 32 bytes; of all daemons that shall open one another's links */
  constructor(key: () => Buffer) {
    this.#key = key;
  }

  /**
   * @param expiresMs - Unix time, ms
   * @returns the path of the recording's audio
   */
  make({ recordingId, accountId }: Shared, expiresMs: number): string {
    const said = Buffer.from(JSON.stringify([version, recordingId, accountId, Math.floor(expiresMs)]));
    const text = said.toString('base64url');
    return `/shared/${text}.${this.#signature(text).toString('base64url')}/audio.wav`;
  }

  /**
   * To be asked before a request is routed: under a link that is good it goes to the recording's own route.
   *
   * @returns the path and query to route by
   */
  routed(request: Routed, nowMs = Date.now()): string {
    const url = request.url ?? '/';
    const [, token, name, query = ''] = /^\/shared\/([\w.-]{1,4096})\/([\w.]+)(\?.*)?$/.exec(url) ?? [];
    if (token === undefined || name === undefined || !sharedNames.has(name)) return url;
    const shared = this.#open(token, nowMs);
    if (shared === null) return url;
    this.#opened.set(request, shared);
    return `/v1/recordings/${encodeURIComponent(shared.recordingId)}/${name}${query}`;
  }

  /** What the link of a request opens; undefined of one that came without. */
  openedBy(request: Routed): Shared | undefined {
    return this.#opened.get(request);
  }

  #open(token: string, nowMs: number): Shared | null {
    const [text = '', signature = '', ...rest] = token.split('.');
    const given = Buffer.from(signature, 'base64url');
    const right = this.#signature(text);
    if (rest.length > 0 || given.length !== right.length || !timingSafeEqual(given, right)) return null;
    // What is signed was written here, so it has this shape; a later version's hasn't.
    const said = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[];
    const [made, recordingId, accountId, expiresMs] = said;
    if (made !== version || typeof recordingId !== 'string' || typeof accountId !== 'string') return null;
    return typeof expiresMs === 'number' && nowMs < expiresMs ? { recordingId, accountId } : null;
  }

  #signature(text: string): Buffer {
    return createHmac('sha256', this.#key()).update(`reelay link\n${text}`).digest();
  }
}
