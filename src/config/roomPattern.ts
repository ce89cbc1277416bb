import type { AccountConfig, LiveKitAccount } from './Config.js';

/** Whether an account has rooms of this name recorded without anybody's asking. In a pattern `*` is any text, also none. */
export function isRoomRecorded({ rooms }: Pick<LiveKitAccount, 'rooms'>, name: string): boolean {
  if (rooms === 'all') return true;
  return rooms !== 'none' && rooms.some((pattern) => matches(pattern, name));
}

/**
 * Whether a room is somebody else's: accounts may share a LiveKit project, and then their patterns are the border between them. What none
 * of them claims is anybody's.
 *
 * @param accounts - all that are configured
 * @param account - has a LiveKit server; who wants the room
 */
export function isRoomOfAnother(
  accounts: readonly AccountConfig[],
  { id, livekit }: AccountConfig,
  name: string,
): boolean {
  if (livekit === null || isRoomRecorded(livekit, name)) return false;
  const project = projectOf(livekit);
  return accounts.some(
    (other) =>
      other.id !== id &&
      other.livekit !== null &&
      projectOf(other.livekit) === project &&
      isRoomRecorded(other.livekit, name),
  );
}

/** Two ways of writing one URL are one server. */
function projectOf({ url, apiKey }: LiveKitAccount): string {
  const { host, pathname } = new URL(url);
  return JSON.stringify([host, pathname.replace(/\/+$/, ''), apiKey]);
}

/** In a time that is the product of both lengths at most, whatever somebody calls a room. */
function matches(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return name === first;
  if (!name.startsWith(first)) return false;
  const last = rest.pop() ?? '';
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}
