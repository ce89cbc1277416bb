import type { Track } from '@livekit/rtc-node';
import type { BufferReport } from './RoomSdk.js';

/** As much of the client's own door to its native library as is gone through here. It keeps it to itself, in a global of this name. */
interface Door {
  getNextRequestAsyncId(): bigint;
  request(request: object): unknown;
  waitFor<T>(isIt: (event: Told) => boolean, options: { readonly signal: AbortSignal }): Promise<T>;
}

interface Told {
  readonly message: { readonly case?: string | undefined; readonly value?: unknown };
}

interface Inbound {
  readonly concealedSamples?: bigint;
  readonly silentConcealedSamples?: bigint;
  readonly jitterBufferDelay?: number;
  readonly jitterBufferEmittedCount?: bigint;
  readonly totalSamplesReceived?: bigint;
  readonly insertedSamplesForDeceleration?: bigint;
  readonly removedSamplesForAcceleration?: bigint;
}

interface Answer {
  readonly asyncId?: bigint;
  readonly stats?: readonly {
    readonly stats: { readonly case?: string | undefined; readonly value?: { readonly inbound?: Inbound } };
  }[];
}

/** How long an answer may take, ms. */
const answerMs = 2000;

/**
 * What a remote track's jitter buffer tells. The client's own `room.getRtcStats()` gives the same for all tracks of a room under names
 * that it doesn't tell otherwise, so the library is asked for the one track: it can do that, and the client of this version doesn't offer it.
 *
 * @returns null where it doesn't answer, or another version of the client has no such door
 */
export async function bufferReport(track: Track): Promise<BufferReport | null> {
  const door = (globalThis as { _ffiClientInstance?: Door })._ffiClientInstance;
  const { ffi_handle: held } = track as { ffi_handle?: { readonly handle: bigint } };
  if (door === undefined || held === undefined) return null;
  try {
    const requestAsyncId = door.getNextRequestAsyncId();
    const answer = door.waitFor<Answer>((event) => isAnswer(event, requestAsyncId), {
      signal: AbortSignal.timeout(answerMs),
    });
    door.request({ message: { case: 'getStats', value: { trackHandle: held.handle, requestAsyncId } } });
    return reportOf(await answer);
  } catch {
    return null;
  }
}

function isAnswer({ message }: Told, asyncId: bigint): boolean {
  return message.case === 'getStats' && (message.value as Answer).asyncId === asyncId;
}

function reportOf({ stats = [] }: Answer): BufferReport | null {
  const inbound = stats.find((each) => each.stats.case === 'inboundRtp')?.stats.value?.inbound;
  if (inbound === undefined) return null;
  const { concealedSamples = 0n, silentConcealedSamples = 0n } = inbound;
  const { insertedSamplesForDeceleration = 0n, removedSamplesForAcceleration = 0n } = inbound;
  return {
    // What is made up of silence, while nobody sends, is what it would have been.
    concealed: Number(concealedSamples - silentConcealedSamples),
    waitedSeconds: inbound.jitterBufferDelay ?? 0,
    emitted: Number(inbound.jitterBufferEmittedCount ?? 0n),
    madeUp: Number(concealedSamples),
    played: Number(inbound.totalSamplesReceived ?? 0n),
    stretched: Number(insertedSamplesForDeceleration - removedSamplesForAcceleration),
  };
}
