/**
 * An upstream that is a LiveKit room instead of a bot's socket: `livekit://call-{callId}?agent=inbound`. Pure; what a call puts in for
 * the placeholders is the bridge's business.
 */
export interface RoomUrl {
  /** Name of the room with placeholders: `{callId}`, `{accountId}`, `{from}`, `{to}`, and the names of custom parameters. */
  readonly pattern: string;
  /** Agent that the server is asked to dispatch when the room is made; null: whatever the server does by itself. */
  readonly agent: string | null;
  /** How long a caller waits for somebody to be in the room, s; 0: for ever. Default 30. */
  readonly answerSeconds: number;
  /** How long a caller is kept when the last of the others has left, s. Default 5. */
  readonly departureSeconds: number;
}

/** Sentence for whoever has written one that can't be read. */
export const roomUrlForm =
  'livekit:// and the name of a room of letters, digits and . _ + @ : -, with placeholders such as {callId}, ' +
  'and perhaps ?agent=NAME&answerSeconds=30&departureSeconds=5';

const scheme = 'livekit://';
const shape = /^(?:[A-Za-z0-9._+@:-]|\{[A-Za-z0-9_.-]{1,64}\}){1,128}$/;
const agentShape = /^[\x21-\x7e]{1,128}$/;
const longestSeconds = 3600;

export function isRoomUrl(url: string): boolean {
  return url.startsWith(scheme);
}

/** @returns undefined for anything but a room that can be joined */
export function readRoomUrl(url: string): RoomUrl | undefined {
  if (!isRoomUrl(url)) return undefined;
  const [pattern = '', query = '', ...rest] = url.slice(scheme.length).split('?');
  if (!shape.test(pattern) || rest.length > 0) return undefined;
  const options = new URLSearchParams(query);
  const known = new Set(['agent', 'answerSeconds', 'departureSeconds']);
  if ([...options.keys()].some((key) => !known.has(key) || options.getAll(key).length > 1)) return undefined;
  const agent = options.get('agent');
  const answerSeconds = seconds(options.get('answerSeconds'), 30);
  const departureSeconds = seconds(options.get('departureSeconds'), 5);
  if (answerSeconds === undefined || departureSeconds === undefined) return undefined;
  if (agent !== null && !agentShape.test(agent)) return undefined;
  return { pattern, agent, answerSeconds, departureSeconds };
}

function seconds(text: string | null, otherwise: number): number | undefined {
  if (text === null) return otherwise;
  const value = /^\d{1,4}$/.test(text) ? Number(text) : NaN;
  return value <= longestSeconds ? value : undefined;
}
