import { createHash } from 'node:crypto';
import { isSafeId } from '../providers/Dialect.js';

/**
 * The call id of a room's recording: its sid, and its name where there is none that could be a folder's. A room may have any name; one that
 * can't be a folder's either is shortened to what can, with eight digits of its hash.
 */
export function roomCallId(name: string, sid: string | null): string {
  if (isSafeId(sid)) return sid;
  const isSafe: boolean = isSafeId(name);
  if (isSafe) return name;
  const kept = name.replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 8);
  return `${kept.slice(0, 100) || 'room'}-${hash}`;
}
