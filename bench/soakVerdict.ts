import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { channelOf, samplesOf } from '../src/audio/pcm.js';
import { wavHeaderBytes, wholeHeaderBytes } from '../src/audio/wav.js';
import { verdictOn } from '../src/cli/verify.js';
import { documentSchemas } from '../src/spool/documentSchemas.js';
import { chunkName, manifestName, wholeAudioName } from '../src/spool/layout.js';
import type { Manifest } from '../src/spool/Manifest.js';
import { RecordingFolder, recordingsBelow } from '../src/spool/RecordingFolder.js';
import { FolderFiles } from '../src/spool/RecordingFiles.js';
import type { LeanReport } from './LeanCall.js';
import type { LeanVoice } from './LeanVoice.js';

/** What came of the recordings in one folder. */
export interface SoakVerdict {
  readonly problems: readonly string[];
  readonly recordings: readonly Manifest[];
  /** Recordings whose samples were compared with what was said. */
  readonly compared: number;
  /** Recordings with a gap, or a silence before them, because their caller on jambonz (which gives no clock) had stood still. */
  readonly stalled: number;
}

/** Callers without a clock that were silent for longer than this can't be told from such that lost what they said. */
const stallMs = 200;
/** A caller without a clock whose first frame comes later than this has begun with a silence, and all that it says stands behind that. */
const leadMs = 40;

/**
 * Verifies every recording below a folder, and compares every n-th sample by sample with what its caller said.
 *
 * @param reports - of all calls, by their id; the recordings that are found are taken out of it
 */
export async function verifyBelow(
  dir: string,
  reports: Map<string, LeanReport>,
  voice: LeanVoice,
  every: number,
): Promise<SoakVerdict> {
  const problems: string[] = [];
  const recordings: Manifest[] = [];
  let [compared, stalled] = [0, 0];
  for (const path of await recordingsBelow(dir)) {
    const folder = new RecordingFolder([new FolderFiles(path)]);
    const { findings } = await verdictOn(folder);
    for (const { code, where, detail } of findings) problems.push(`${path}: ${code} ${where} ${detail}`);
    const manifest = await manifestIn(path);
    if (manifest === null) continue;
    const report = reports.get(manifest.callId);
    reports.delete(manifest.callId);
    recordings.push(manifest);
    const isStalled = report?.provider === 'jambonz' && report.lateMs > stallMs;
    if (isStalled && manifest.gaps.some(({ cause }) => cause === 'lost_by_provider')) stalled++;
    problems.push(...callProblems(path, manifest, report, isStalled));
    const isLed = report?.provider === 'jambonz' && report.leadMs > leadMs;
    if (report === undefined || recordings.length % every !== 0 || isStalled || isLed) continue;
    compared++;
    const wrong = await firstWrongSample(path, manifest, report, voice);
    if (wrong !== null)
      problems.push(
        `${path}: the caller's sample ${wrong} is not what was said, its caller ${report.lateMs.toFixed(0)} ms late`,
      );
  }
  return { problems, recordings, compared, stalled };
}

/** Null for one that can't be read, of which `verify` has told. */
async function manifestIn(path: string): Promise<Manifest | null> {
  const text = await readFile(join(path, manifestName), 'utf8').catch(() => 'null');
  return documentSchemas.manifest.safeParse(JSON.parse(text)).data ?? null;
}

function callProblems(
  path: string,
  manifest: Manifest,
  report: LeanReport | undefined,
  isStalled: boolean,
): string[] {
  if (report === undefined) return [`${path}: of no call that was made, or its second recording`];
  const { sampleRate, samples, state, reason } = manifest;
  const gaps = manifest.gaps.filter(({ cause }) => !(isStalled && cause === 'lost_by_provider'));
  const problems: string[] = [];
  if (manifest.accountId !== report.accountId) problems.push(`of account ${manifest.accountId}`);
  // Who is gone without a word may take the last frames along, and his call ends when his socket does.
  const said = (report.sent * sampleRate) / 50;
  const may = report.vanished ? sampleRate : 0;
  if (samples < said - may) problems.push(`${samples} samples of ${said} that were said`);
  if (gaps.length > 0)
    problems.push(`gaps ${JSON.stringify(gaps.slice(0, 3))}, its caller ${report.lateMs.toFixed(0)} ms late`);
  if (state !== 'complete' && !(report.vanished && state === 'interrupted'))
    problems.push(`${state} (${reason ?? ''})`);
  return problems.map((problem) => `${path}: ${problem}`);
}

/** @returns its position; null where all are right */
async function firstWrongSample(
  path: string,
  manifest: Manifest,
  report: LeanReport,
  voice: LeanVoice,
): Promise<number | null> {
  const isWhole = manifest.layout === 'single';
  const names = isWhole ? [wholeAudioName] : manifest.chunks.map(({ index }) => chunkName(index));
  const said = voice.said(report.provider);
  const end = Math.min(manifest.samples, (report.sent * manifest.sampleRate) / 50);
  let position = 0;
  for (const name of manifest.samples === 0 ? [] : names) {
    const bytes = await readFile(join(path, name));
    const pcm = samplesOf(Uint8Array.from(bytes.subarray(isWhole ? wholeHeaderBytes : wavHeaderBytes)));
    const heard = channelOf(pcm, 0, manifest.channels.length);
    const from = position;
    position = Math.min(end, from + heard.length);
    for (let at = from; at < position; at++) if (heard[at - from] !== said[at % said.length]) return at;
  }
  return null;
}
