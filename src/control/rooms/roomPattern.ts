import type { LiveKitAccount } from '../../config/Config.js';

/** Whether an account has rooms of this name recorded without anybody's asking. In a pattern `*` is any text, also none. */
export function isRoomRecorded({ rooms }: Pick<LiveKitAccount, 'rooms'>, name: string): boolean {
  if (rooms === 'all') return true;
  return rooms !== 'none' && rooms.some((pattern) => matches(pattern, name));
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
