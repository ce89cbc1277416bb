import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { AudioAnalysis } from '../../audio/AudioAnalysis.js';
import { ChannelSelection } from '../../audio/ChannelSelection.js';
import type { CatalogueEntry } from '../../catalogue/Catalogue.js';
import { ReelayError } from '../../config/ReelayError.js';
import { wholeAudioName } from '../../spool/layout.js';
import type { Manifest } from '../../spool/Manifest.js';
import { answerSchemas } from './answerSchemas.js';
import { type Answer, described, type RouteDescription } from './ApiDescription.js';
import { sendBytes, sendElsewhere, sendMade, sendNotYet, sendStream, statusOf } from './AudioAnswer.js';
import type { AudioSnapshot } from '../rendition/AudioSnapshot.js';
import { RecordingAnalyses } from '../rendition/RecordingAnalyses.js';
import { findRecording, type RecordingSources } from './RecordingSources.js';
import { Rendition, renditionFormats } from '../rendition/Rendition.js';
import { sampleRange } from './samplePosition.js';
import { speechDocument } from '../rendition/speechDocument.js';
import { direct, objectUrl } from './objectUrl.js';
import { queryAs } from './queryAs.js';
import { Turnstile } from './Turnstile.js';
import { waveformData, waveformDocument } from '../rendition/waveformDocument.js';

/** Answers that are encoded at once. Each takes as much of this thread as its client takes of it, and an Opus codec of the few there are. */
const mostEncoded = 4;

/** A recording that has audio. */
interface Heard {
  readonly accountId: string;
  /** Of its objects. */
  readonly folder: string;
  /** Of a lane alone: with its gaps. */
  readonly manifest: Manifest;
  /** Of a room: the one lane that is asked for. */
  readonly lane: string | undefined;
  readonly snapshot: AudioSnapshot;
}

type ById = FastifyRequest<{ Params: { id: string } }>;
type AudioDescription<Query extends { readonly lane?: string | undefined }> = Pick<
  RouteDescription,
  'summary' | 'answers'
> & {
  readonly query: z.ZodType<Query>;
};
type Handler<Query> = (
  heard: Heard,
  request: ById,
  reply: FastifyReply,
  query: Query,
) => Promise<FastifyReply>;

const ofLane = { lane: z.string().optional() };
const part = z.object({
  ...ofLane,
  channel: z.string().optional(),
  format: z.enum(renditionFormats).optional(),
  from: z.string().optional(),
  to: z.string().optional(),
  direct,
});
const queryRemedy =
  'The query takes channel (0, 1, mix), format (wav, opus, mp3), from, to and direct; a waveform.dat takes samplesPerBin; in a room lane.';
const justLane = z.object(ofLane);
const resolution = z.object({ ...ofLane, samplesPerBin: z.coerce.number().int().min(1).default(1) });

/**
 * The audio of recordings, whole and in part, and what is found out about it.
 *
 * @param downloads - that every answer with audio has to pass
 */
export function audioRoutes(app: FastifyInstance, sources: RecordingSources, downloads: Turnstile): void {
  const encoders = new Turnstile(mostEncoded);
  const analyses = new RecordingAnalyses();
  const route = audioRoute(app, sources, downloads);
  const { notYet, segments, waveform } = answerSchemas;
  const known = { 202: notYet, 304: 'The client has it.' };
  const audio = {
    ...known,
    200: ['audio/wav: the audio so far', 'audio/ogg: with format=opus', 'audio/mpeg: with format=mp3'],
    206: 'audio/wav: a range of it',
    302: 'With direct=true: where the store has it.',
  };
  const about = {
    summary: 'The audio, whole or in part, while the call is up, too',
    query: part,
    answers: audio,
  };
  route('audio.wav', about, async (heard, request, reply, query) => {
    const { channel, format, from, to, direct } = query;
    const isWhole = [channel, format, from, to].every((each) => each === undefined);
    if (isWhole && direct === 'true' && heard.lane === undefined) {
      const url = await wholeUrl(sources, heard);
      if (url !== null) return await sendElsewhere(reply, url);
    }
    if (isWhole) return await sendWhole(sources, heard, request, reply);
    const rendition = renditionOf(heard, { channel, format, from, to });
    const begin = (): void => encoders.enter(reply.raw, heard.accountId);
    return await sendPart(sources, begin, rendition, request, reply);
  });
  const madeFrom = async <T>(heard: Heard, reply: FastifyReply, document: (found: AudioAnalysis) => T) => {
    const found = await analysisOf(analyses, heard, reply);
    // Nobody is there any more.
    return found === null ? '' : document(found);
  };
  const made = (summary: string, answer: Answer) => ({
    summary,
    query: justLane,
    answers: { ...known, 200: answer },
  });
  route(
    'waveform.json',
    made('Peaks per channel, in several resolutions', waveform),
    async (heard, request, reply) =>
      sendMade(request, reply, {
        ...json(heard, 'waveform'),
        make: () =>
          madeFrom(heard, reply, (found) =>
            JSON.stringify(waveformDocument(heard.manifest, found.waveform, heard.lane)),
          ),
      }),
  );
  const peaks = made('Peaks of one resolution', 'application/octet-stream: as audiowaveform writes it');
  const data = { ...peaks, query: resolution };
  route('waveform.dat', data, async (heard, request, reply, { samplesPerBin }) =>
    sendMade(request, reply, {
      ...json(heard, `waveform-${samplesPerBin}`),
      type: 'application/octet-stream',
      make: () => madeFrom(heard, reply, ({ waveform: peaks }) => waveformData(peaks, samplesPerBin)),
    }),
  );
  route('segments.json', made('Who speaks when', segments), async (heard, request, reply) =>
    sendMade(request, reply, {
      ...json(heard, 'segments'),
      make: () =>
        madeFrom(heard, reply, ({ speech }) =>
          JSON.stringify(speechDocument(heard.manifest, speech, heard.lane)),
        ),
    }),
  );
}

/** Adds a route that needs a recording's audio, and answers by itself where there is none yet. */
function audioRoute(app: FastifyInstance, sources: RecordingSources, downloads: Turnstile) {
  return <Query extends { readonly lane?: string | undefined }>(
    name: string,
    { query, ...about }: AudioDescription<Query>,
    handler: Handler<Query>,
  ) => {
    app.route({
      ...described({ tag: 'audio', params: { id: 'the recording' }, querystring: query, ...about }),
      method: ['GET', 'HEAD'],
      url: `/v1/recordings/:id/${name}`,
      handler: async (request: ById, reply) => {
        const { id } = request.params;
        const scope = sources.scopeOf(request, null);
        const read = queryAs(query, request.query, queryRemedy);
        const entry = await findRecording(sources, scope, id);
        if (entry === null) return await sendNotYet(reply, { recordingId: id, state: 'recording' });
        downloads.enter(reply.raw, entry.accountId);
        const heard = await heardOf(sources, entry, read.lane);
        if (heard === null) return await sendNotYet(reply, statusOf(entry));
        reply.header('x-reelay-state', heard.manifest.state);
        return await handler(heard, request, reply, read);
      },
    });
  };
}

/** @returns null when the client has gone, and everybody else who has asked for it. @throws ReelayError `too_many_downloads` */
async function analysisOf(
  analyses: RecordingAnalyses,
  { accountId, manifest, lane, snapshot }: Heard,
  { raw }: FastifyReply,
): Promise<AudioAnalysis | null> {
  const gone = new AbortController();
  if (raw.closed) gone.abort();
  else raw.once('close', () => gone.abort());
  // No id has a blank in it.
  const name = lane === undefined ? manifest.recordingId : `${manifest.recordingId} ${lane}`;
  return await analyses.of(name, snapshot.audio, { accountId, gone: gone.signal });
}

/**
 * @returns null while there is nothing yet
 * @throws ReelayError `recording_failed` when nothing will come, `request_invalid` for a lane that isn't there
 */
async function heardOf(
  { library }: RecordingSources,
  entry: CatalogueEntry,
  lane: string | undefined,
): Promise<Heard | null> {
  const manifest = await library.manifest(entry);
  if (manifest === null) return null;
  const { state, reason } = manifest;
  // One with chunks is only shown as failed, while its account's store refuses it: its audio is in the spool.
  if (state === 'failed' && manifest.chunks.length === 0) {
    const remedy = 'Its manifest has the reason; there is no audio to wait for.';
    throw new ReelayError('recording_failed', { value: reason ?? state, remedy });
  }
  const shown = lane === undefined ? manifest : alone(manifest, lane);
  const snapshot = await library.audio(entry, manifest, lane);
  const isEmpty = snapshot.samples === 0 && (state === 'recording' || manifest.chunks.length > 0);
  const { accountId, folder } = entry;
  return isEmpty ? null : { accountId, folder, manifest: shown, lane, snapshot };
}

/** A room's manifest as that of one of its lanes. @throws ReelayError `request_invalid` */
function alone(manifest: Manifest, lane: string): Manifest {
  const { lanes = [] } = manifest;
  const known = lanes.find((each) => each.lane === lane);
  if (known !== undefined) return { ...manifest, gaps: known.gaps };
  // Who has a link may hear everybody, and needn't be told who was there.
  const remedy =
    lanes.length === 0 ? 'This recording has no lanes; ask without.' : 'Its manifest lists its lanes.';
  throw new ReelayError('request_invalid', { value: `lane ${lane}`, remedy });
}

/** Of the one object that has all of it, where the recording became one. */
async function wholeUrl({ library }: RecordingSources, { folder, manifest }: Heard): Promise<string | null> {
  // Not whatever its manifest names: that lies where others may write.
  const whole = manifest.audio?.find(({ key }) => key === `${folder}/${wholeAudioName}`);
  return whole === undefined ? null : await objectUrl(await library.storeOf(manifest.accountId), whole);
}

async function sendWhole(
  { throttle }: RecordingSources,
  heard: Heard,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { snapshot } = heard;
  return await sendBytes(request, reply, {
    type: 'audio/wav',
    bytes: snapshot.bytes,
    etag: `"${nameOf(heard)}-${snapshot.samples}"`,
    read: (start, end) => throttle.through(snapshot.read({ start, end })),
  });
}

/** Of the recording, or of one lane of it. */
function nameOf({ manifest, lane }: Heard): string {
  return lane === undefined ? manifest.recordingId : `${manifest.recordingId}-${lane}`;
}

/** @throws ReelayError `request_invalid`, `range_unsatisfiable` */
function renditionOf(heard: Heard, { channel, format, from, to }: z.output<typeof part>): Rendition {
  const { manifest, snapshot } = heard;
  const { audio } = snapshot;
  const { channels, samples } = audio;
  return new Rendition(audio, {
    format: format ?? 'wav',
    selection: ChannelSelection.read(channel, channels),
    range: sampleRange({ from, to }, manifest, samples),
    name: nameOf(heard),
    clock: manifest,
  });
}

/** @param begin - takes a place among those for whom something is encoded. @throws ReelayError `too_many_downloads` */
async function sendPart(
  { throttle }: RecordingSources,
  begin: () => void,
  rendition: Rendition,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { bytes, contentType: type, tag } = rendition;
  const etag = `"${tag}"`;
  // The path ends in .wav, whatever comes.
  reply.header('content-disposition', `inline; filename="${rendition.fileName}"`);
  if (bytes !== null) {
    const read = (start: number, end: number) => throttle.through(rendition.read({ start, end }));
    return await sendBytes(request, reply, { type, etag, bytes, read });
  }
  const read = () => {
    begin();
    return throttle.through(rendition.read());
  };
  return await sendStream(request, reply, { type, etag, read });
}

/** What every document about a recording has: a tag that changes with whatever the document is made of. */
function json(heard: Heard, name: string): { readonly type: string; readonly etag: string } {
  const { manifest, snapshot } = heard;
  const { state, events } = manifest;
  const tag = [nameOf(heard), snapshot.samples, state, events.length, name].join('-');
  return { type: 'application/json; charset=utf-8', etag: `"${tag}"` };
}
