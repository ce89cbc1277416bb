/*
 * What it takes to give out a part of a recording in another form, and to look through one for its waveform and its speech: CPU per
 * second of audio, how long the thread that does it answers nobody else, and memory that doesn't come back. Beside it ffmpeg, where it
 * is installed, with the same encoders' bit rates. Medians of several rounds.
 *
 *     npm run bench:renditions -- [seconds=60] [rounds=5]
 *
 * The audio is the speech of the demo, both parties at 8 kHz, from chunks on disk. Exit 1 when a thread was held up for longer than
 * a quarter of its heartbeat's patience.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AudioAnalysis } from '../src/audio/AudioAnalysis.js';
import { ChannelSelection } from '../src/audio/ChannelSelection.js';
import { implementation } from '../src/audio/kernels.js';
import { opusBitrateOf, opusComplexity } from '../src/audio/OggOpus.js';
import { mp3BitrateOf } from '../src/audio/Mp3.js';
import { bytesOf, interleaved } from '../src/audio/pcm.js';
import { readSpeech } from '../src/audio/Speech.js';
import { wavHeader } from '../src/audio/wav.js';
import { RecordedAudio } from '../src/control/rendition/RecordedAudio.js';
import { RecordingAnalyses } from '../src/control/rendition/RecordingAnalyses.js';
import { Rendition, type RenditionFormat } from '../src/control/rendition/Rendition.js';
import { argument } from './argument.js';

const [seconds, rounds] = [argument('seconds', 60), argument('rounds', 5)];
const sampleRate = 8000;
const samples = seconds * sampleRate;
/** A thread that hasn't answered for 2 s counts as lost. */
const mostHeldMs = 500;

const dir = await mkdtemp(join(tmpdir(), 'reelay-renditions-'));
try {
  process.exitCode = (await measure()) ? 0 : 1;
} finally {
  await rm(dir, { recursive: true, force: true });
}

/** Both parties' speech, over and over. */
async function talk(): Promise<Int16Array> {
  const channels = await Promise.all(
    ['caller', 'bot'].map(async (name) => {
      const speech = await readSpeech(join('src', 'simulators', 'speech', `${name}.wav`), sampleRate);
      return Int16Array.from({ length: samples }, (_, at) => speech[at % speech.length] ?? 0);
    }),
  );
  return interleaved(channels);
}

async function written(): Promise<RecordedAudio> {
  const shape = { sampleRate, channels: 2, samples };
  await writeFile(join(dir, '0-audio.wav'), Buffer.concat([wavHeader(shape), bytesOf(await talk())]));
  const where = { spoolDir: dir, folder: '.', store: () => null };
  return new RecordedAudio(where, shape, [{ index: 0, startSample: 0, samples }]);
}

interface Work {
  readonly name: string;
  readonly run: () => Promise<unknown>;
}

function rendered(audio: RecordedAudio, name: string, format: RenditionFormat, channel?: string): Work {
  return {
    name,
    run: async () => {
      const rendition = new Rendition(audio, {
        format,
        selection: ChannelSelection.read(channel, 2),
        range: { start: 0, end: samples },
        name: 'bench',
        clock: { startTime: new Date(0).toISOString(), sampleRate, gaps: [] },
      });
      let bytes = 0;
      for await (const piece of rendition.read()) bytes += piece.length;
      return bytes;
    },
  };
}

async function through(audio: RecordedAudio, take: (pcm: Int16Array) => void): Promise<void> {
  for await (const pcm of audio.read({ start: 0, end: samples })) take(pcm);
}

/** ms of CPU for one round. */
async function cpuOf({ run }: Work): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** The longest time between two turns of the event loop in one round, ms; in a round of its own, because looking takes CPU too. */
async function heldOf({ run }: Work): Promise<number> {
  let heldMs = 0;
  let last = performance.now();
  let isOver = false;
  const look = () => {
    const now = performance.now();
    heldMs = Math.max(heldMs, now - last);
    last = now;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  await run();
  isOver = true;
  return heldMs;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

async function measure(): Promise<boolean> {
  const audio = await written();
  const works: Work[] = [
    { name: 'nothing but reading', run: async () => await through(audio, () => undefined) },
    rendered(audio, 'WAV, one channel', 'wav', '0'),
    rendered(audio, 'WAV, mixed', 'wav', 'mix'),
    rendered(audio, 'Ogg Opus, both', 'opus'),
    rendered(audio, 'Ogg Opus, one channel', 'opus', '0'),
    rendered(audio, 'MP3, both', 'mp3'),
    { name: 'waveform and speech', run: async () => await new RecordingAnalyses().of('bench', audio) },
    {
      name: 'the same without turns',
      run: async () => {
        const analysis = new AudioAnalysis(audio);
        await through(audio, (pcm) => analysis.push(pcm));
      },
    },
  ];
  const cpu = new Map<string, number[]>(works.map(({ name }) => [name, []]));
  const held = new Map<string, number>();
  for (const work of works) held.set(work.name, await heldOf(work));
  for (let round = 0; round < rounds; round++)
    for (const work of works) cpu.get(work.name)?.push(await cpuOf(work));
  console.log(
    `kernels: ${implementation}; ${seconds} s of two parties at ${sampleRate} Hz, ${rounds} rounds`,
  );
  console.log(
    `${'what'.padEnd(26)}${'ms CPU per s of audio'.padStart(24)}${'longest hold-up, ms'.padStart(22)}`,
  );
  for (const [name, each] of cpu) {
    const ms = median(each) / seconds;
    const longest = held.get(name) ?? NaN;
    console.log(`${name.padEnd(26)}${ms.toFixed(3).padStart(24)}${longest.toFixed(1).padStart(22)}`);
  }
  for (const [name, codec, bitrate] of [
    ['ffmpeg, Ogg Opus, both', 'libopus', opusBitrateOf(audio)],
    ['ffmpeg, MP3, both', 'libmp3lame', mp3BitrateOf(audio) * 1000],
  ] as const)
    console.log(`${name.padEnd(26)}${byFfmpeg(codec, bitrate).padStart(24)}`);
  await growth(audio);
  return Math.max(...held.values()) < mostHeldMs;
}

/** ms of CPU per second of audio, as ffmpeg tells it. */
function byFfmpeg(codec: string, bitrate: number): string {
  const format = codec === 'libopus' ? 'ogg' : 'mp3';
  const like = codec === 'libopus' ? ['-compression_level', String(opusComplexity)] : [];
  const encode = ['-c:a', codec, '-b:a', String(bitrate), ...like, '-f', format, '/dev/null'];
  const args = ['-hide_banner', '-benchmark', '-y', '-i', join(dir, '0-audio.wav'), ...encode];
  const times = Array.from({ length: rounds }, () => {
    const { stderr } = spawnSync('ffmpeg', args, { encoding: 'utf8' });
    const [, user, system] = /utime=([\d.]+)s stime=([\d.]+)s/.exec(stderr) ?? [];
    return (Number(user) + Number(system)) * 1000;
  });
  const ms = median(times) / seconds;
  return Number.isNaN(ms) ? 'not installed' : ms.toFixed(3);
}

/** What many short renditions leave behind. */
async function growth(audio: RecordedAudio): Promise<void> {
  const many = 400;
  const short = async () => {
    for (let at = 0; at < many; at++) {
      const rendition = new Rendition(audio, {
        format: 'opus',
        selection: ChannelSelection.read(at % 2 === 0 ? undefined : 'mix', 2),
        range: { start: 0, end: sampleRate },
        name: 'bench',
        clock: { startTime: new Date(0).toISOString(), sampleRate, gaps: [] },
      });
      const pages = rendition.read();
      await pages.next();
      await pages.next();
      // Half of them are broken off.
      if (at % 4 < 2) await pages.return(undefined);
      else for await (const page of pages) if (page.length === 0) throw new Error('an empty page');
    }
  };
  await short();
  const before = process.memoryUsage().rss;
  await short();
  const grown = (process.memoryUsage().rss - before) / 2 ** 20;
  console.log(
    `${many} short Ogg Opus renditions, after as many: ${grown.toFixed(1)} MiB more of resident memory`,
  );
}
