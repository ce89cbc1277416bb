import type { UpstreamEvent } from './Dialect.js';
import { invalid } from './JsonMessage.js';
import type { JsonObject } from './JsonMessage.js';

/** Name of the message by which a bot tells reelay itself what it wants of the recording of its call. */
export const recordingMessage = 'reelay.record';

const fieldsOfRequest = ['action', 'mode'];

/**
 * Reads what a bot wants of the recording of its call. As strict as the HTTP API: where there is something that nobody knows, nobody knows
 * what was meant either. No such message is ever passed on.
 *
 * @param fields - `action`, and the `mode` of a pause
 * @param envelope - the names of what else may be among them
 */
export function recordingEvent(
  fields: JsonObject,
  envelope: readonly string[],
  streamId: string | null,
): UpstreamEvent {
  const { action, mode } = fields;
  const stranger = Object.keys(fields).find((name) => ![...fieldsOfRequest, ...envelope].includes(name));
  if (stranger !== undefined) return invalid('request_invalid', stranger);
  if (action === 'pause') {
    const how = mode === undefined ? 'silence' : mode;
    if (how !== 'silence' && how !== 'skip') return invalid('request_invalid', how);
    return { kind: 'recording', request: { deed: 'pause', mode: how }, streamId };
  }
  if (action !== 'resume' && action !== 'stop' && action !== 'start')
    return invalid('request_invalid', action ?? null);
  if (mode !== undefined) return invalid('request_invalid', mode);
  return { kind: 'recording', request: { deed: action }, streamId };
}
