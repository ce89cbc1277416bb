import { ReelayError } from '../config/ReelayError.js';
import type { RecordingDeed, RecordingOutcome, RecordingRequest } from '../tap/RecordingRequest.js';
import type { Call } from './Call.js';
import type { RelayContext } from './RelayContext.js';

/** Does with the recording of a call that is up what somebody asks for. Never rejects. */
export async function obey(
  { calls, onChange }: Pick<RelayContext, 'calls' | 'onChange'>,
  request: RecordingRequest,
): Promise<RecordingOutcome> {
  const call = calls.find((each) => isMeant(each, request));
  if (call === undefined) return { code: 'recording_not_live', value: 'no such call is up in this process' };
  return await steer(call, request, onChange);
}

/** The same of a call that is known. Unless something else is under way, it holds when this returns. */
export async function steer(
  call: Call,
  deed: RecordingDeed,
  onChange: (call: Call) => void,
): Promise<RecordingOutcome> {
  try {
    await act(call, deed);
    onChange(call);
    call.log.info({ deed: deed.deed, recording: call.recording.state }, 'the recording was told');
    return { recordingId: call.recording.recordingId ?? '', recording: call.recording.state };
  } catch (error) {
    const { code, message } =
      error instanceof ReelayError ? error : new ReelayError('internal', { cause: error });
    return { code, value: error instanceof ReelayError ? (error.value ?? '') : message };
  }
}

function isMeant({ identity, recording, isOver }: Call, request: RecordingRequest): boolean {
  if (request.deed !== 'start') return recording.recordingId === request.recordingId;
  const isOf = identity.accountId === request.accountId && identity.callId === request.callId;
  return isOf && !isOver && recording.state === 'awaited';
}

async function act({ recording }: Call, request: RecordingDeed): Promise<void> {
  if (request.deed === 'start') await recording.start();
  else if (request.deed === 'pause') await recording.pause(request.mode);
  else if (request.deed === 'resume') await recording.resume();
  else await recording.stop();
}
