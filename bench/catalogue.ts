/*
 * How fast the catalogue answers: npm run bench:catalogue [-- short recordings=100000 questions=300]
 *
 * Fills a catalogue with recordings of a year, as a daemon would, and asks it what the API asks: the first page, pages further on, with
 * each filter, by numbers and ids that many, few and no recordings have, through a writer that goes on writing meanwhile. SQLite in a
 * file, and PostgreSQL where REELAY_POSTGRES names a server; the catalogue in memory is the baseline. It fails where the p99 of a
 * question to a database is 50 ms or more, or where the thread was held up for half as long as a heartbeat may stay away; with `short`,
 * for machines that do other work, it only tells.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import pg from 'pg';
import type { CatalogueEntry, CatalogueQuery } from '../src/catalogue/Catalogue.js';
import { catalogueAt } from '../src/catalogue/catalogueAt.js';
import { CatalogueWriter } from '../src/catalogue/CatalogueWriter.js';
import { textTable } from '../src/cli/textTable.js';
import { argument } from './argument.js';

const recordings = argument('recordings', 100_000);
const questions = argument('questions', 300);
/** The bound of a question's p99, and half of what a heartbeat may stay away, ms. */
const boundMs = 50;
const beatMs = 1000;

const yearMs = 365 * 86_400_000;
const endMs = Date.UTC(2026, 10, 20);

/** The same numbers at every run. */
let seed = 1;
function random(below: number): number {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
}

const hex = (digits: number): string =>
  Array.from({ length: digits }, () => random(16).toString(16)).join('');
const padded = (number: number, digits: number): string => String(number).padStart(digits, '0');

/** Twenty accounts, one of which has half of all calls; numbers of three countries. */
function entryAt(at: number): CatalogueEntry {
  const startMs = endMs - Math.floor(((recordings - at) / recordings) * yearMs);
  const accountId = `AC${padded(random(2) === 0 ? 0 : random(20), 32)}`;
  const callId = `CA${hex(32)}`;
  const time = startMs.toString(16).padStart(12, '0');
  const recordingId = `${time.slice(0, 8)}-${time.slice(8)}-7${hex(3)}-8${hex(3)}-${hex(12)}`;
  const isFailed = random(200) === 0;
  const samples = 8000 * random(600);
  return {
    recordingId,
    accountId,
    provider: 'twilio',
    callId,
    state: isFailed ? 'failed' : 'complete',
    reason: isFailed ? 'no_store' : null,
    from: `${['+1555', '+4930', '+44207'][random(3)] ?? ''}${padded(random(10_000_000), 7)}`,
    to: `+1800${padded(random(50), 7)}`,
    direction: 'inbound',
    startTime: new Date(startMs).toISOString(),
    endTime: new Date(startMs + samples / 8).toISOString(),
    sampleRate: 8000,
    channels: 2,
    samples,
    durationSeconds: samples / 8000,
    completeness: [1, 1],
    folder: `${accountId}/20261120/${callId}/${recordingId}`,
  };
}

const entries = Array.from({ length: recordings }, (_, at) => entryAt(at));
const some = (): CatalogueEntry => {
  const entry = entries[random(entries.length)];
  if (entry === undefined) throw new Error('there are no recordings');
  return entry;
};
const day = (): Pick<CatalogueQuery, 'fromMs' | 'toMs'> => {
  const fromMs = endMs - random(365) * 86_400_000;
  return { fromMs, toMs: fromMs + 86_400_000 };
};
const cursorAt = (entry: CatalogueEntry): string =>
  Buffer.from(JSON.stringify([Date.parse(entry.startTime), entry.recordingId])).toString('base64url');

/** What is asked, and how. */
const asked: readonly (readonly [string, () => Partial<CatalogueQuery>])[] = [
  ['the first page', () => ({})],
  ['a page further on', () => ({ cursor: cursorAt(some()) })],
  ['a page of 1000', () => ({ limit: 1000, cursor: cursorAt(some()) })],
  ['an account’s', () => ({ account: some().accountId })],
  ['a key’s own, further on', () => ({ visible: { only: some().accountId }, cursor: cursorAt(some()) })],
  ['all but some accounts’', () => ({ visible: { except: [entryAt(0).accountId, some().accountId] } })],
  ['one day’s', day],
  ['one day’s of an account', () => ({ ...day(), account: some().accountId })],
  ['all that failed', () => ({ state: 'failed' })],
  ['an account’s that failed', () => ({ state: 'failed', visible: { only: some().accountId } })],
  ['of a state that none has', () => ({ state: 'interrupted' })],
  ['of a call', () => ({ callId: some().callId })],
  [
    'of a call, with an account’s key',
    () => ({ callId: some().callId, visible: { only: some().accountId } }),
  ],
  ['search: a whole number', () => ({ search: some().from ?? '' })],
  ['search: a number’s last digits', () => ({ search: (some().from ?? '').slice(-5) })],
  ['search: a number that 2 % have', () => ({ search: some().to ?? '' })],
  ['search: a country', () => ({ search: '+49 30' })],
  [
    'search: a country, an account’s that failed',
    () => ({ search: '+49', state: 'failed', account: some().accountId }),
  ],
  ['search: the beginning of a call’s id', () => ({ search: some().callId.slice(0, 10) })],
  ['search: what no recording has', () => ({ search: 'nobody' })],
];

interface Measured {
  readonly name: string;
  /** Ms. */
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

async function measure(name: string, ask: () => Promise<unknown>): Promise<Measured> {
  const times: number[] = [];
  for (let at = 0; at < questions; at++) {
    const from = performance.now();
    await ask();
    times.push(performance.now() - from);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { name, p50: at(0.5), p99: at(0.99), most: at(1) };
}

interface Result {
  readonly kind: string;
  readonly rows: readonly Measured[];
  /** Recordings written in a second, while it was filled. */
  readonly rate: number;
  /** Ms. */
  readonly heldUp: number;
}

async function bench(
  kind: string,
  url: string,
  filled = (): Promise<unknown> => Promise.resolve(),
): Promise<Result> {
  const observer = {
    down: (error: Error): Promise<void> => {
      throw error;
    },
    up: () => undefined,
    refused: (_entry: CatalogueEntry, error: Error): void => {
      throw error;
    },
  };
  const catalogue = new CatalogueWriter(catalogueAt(url), observer);
  await catalogue.open();
  const loop = monitorEventLoopDelay({ resolution: 10 });
  loop.enable();
  const from = performance.now();
  for (let at = 0; at < entries.length; at += 64)
    await catalogue.write(
      entries.slice(at, at + 64).map((entry) => ({
        entry,
        chunks: [0, 1].map((index) => ({ index, startSample: 0, samples: 1, bytes: 1, sha256: hex(64) })),
      })),
    );
  const rate = entries.length / ((performance.now() - from) / 1000);
  await catalogue.sync();
  await filled();
  // Calls come and go while lists are asked for: twenty changes a second.
  const writing = setInterval(() => void catalogue.write([{ entry: some() }]), 50);
  const rows: Measured[] = [];
  for (const [name, query] of asked)
    rows.push(await measure(name, () => catalogue.list({ limit: 100, ...query() })));
  rows.push(await measure('one recording', () => catalogue.get(some().recordingId)));
  clearInterval(writing);
  loop.disable();
  await catalogue.close();
  return { kind, rows, rate, heldUp: loop.max / 1e6 };
}

async function inSqlite(): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'reelay-bench-'));
  try {
    return await bench('SQLite', `sqlite:${join(folder, 'reelay.db')}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function inPostgres(server: string): Promise<Result> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  const schema = `bench_${process.pid}`;
  await client.query(`create schema ${schema}`);
  try {
    const url = new URL(server);
    url.searchParams.set('options', `-c search_path=${schema}`);
    // What its autovacuum does within a minute. Until then it knows too little of a fresh table to choose among indexes.
    return await bench('PostgreSQL', url.href, () =>
      client.query(`analyze ${schema}.recordings, ${schema}.terms`),
    );
  } finally {
    await client.query(`drop schema ${schema} cascade`);
    await client.end();
  }
}

const server = process.env['REELAY_POSTGRES'];
const baseline = await bench('memory', 'memory:');
const results = [await inSqlite(), ...(server === undefined ? [] : [await inPostgres(server)])];
const problems: string[] = [];
console.log(`${recordings} recordings, ${questions} questions each; ms`);
for (const { kind, rows, rate, heldUp } of results) {
  const lines = rows.map(({ name, p50, p99, most }, at) => {
    if (p99 >= boundMs) problems.push(`${kind}, ${name}: p99 ${p99.toFixed(1)} ms`);
    return [name, ...[p50, p99, most, baseline.rows[at]?.p99 ?? 0].map((ms) => ms.toFixed(2))];
  });
  console.log(`\n${textTable([[kind.toUpperCase(), 'P50', 'P99', 'MOST', 'P99 IN MEMORY'], ...lines])}`);
  console.log(
    `filled with ${Math.round(rate)} recordings a second; the thread was held up for at most ${heldUp.toFixed(0)} ms`,
  );
  if (heldUp >= beatMs) problems.push(`${kind} held its thread up for ${heldUp.toFixed(0)} ms`);
}
for (const problem of problems) console.log(`TOO SLOW: ${problem}`);
process.exitCode = problems.length === 0 || process.argv.includes('short') ? 0 : 1;
