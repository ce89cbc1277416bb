/*
 * Asks a running daemon whatever its own description allows, and much that it doesn't:
 *
 *     npm run test:api -- [seconds=80] [seed=N]
 *
 * schemathesis (https://schemathesis.readthedocs.io) reads /openapi.json and makes requests of it, for recordings in store and spool, held,
 * failed and deleted ones, while calls are up; half of the time with the same seed as ever, half with another one, which is printed. Exit 1
 * when an answer is of the 500s, but for a 503 that says when to ask again, or has a status, type, header or shape that the description
 * doesn't name; when the daemon logs a fault; or when a call notices.
 *
 * The program is `schemathesis`, or what REELAY_SCHEMATHESIS names; .ci/schemathesis installs it.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argument } from '../../bench/argument.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';

const program = process.env['REELAY_SCHEMATHESIS'] ?? 'schemathesis';
const seconds = argument('seconds', 80);
const seeds = [1, argument('seed', 1 + Math.floor(Math.random() * 1_000_000))];
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
];
/** Recordings that are there to be deleted and held; and calls that are up, of which some may be stopped. */
const [storedCalls, liveCalls] = [40, 8];

const dir = await mkdtemp(join(tmpdir(), 'reelay-api-'));
const webhooks = [
  { url: 'http://127.0.0.1:9/nobody', secret: `whsec_${randomBytes(32).toString('base64')}` },
];
const daemon = await DaemonProcess.start({
  dir: join(dir, 'daemon'),
  chunkSeconds: 1,
  accounts: [
    { id: 'AC1', resumeSeconds: 0, webhooks },
    { id: 'AC2', resumeSeconds: 0, store: null },
    { id: 'AC3', resumeSeconds: 0, record: 'onRequest' },
  ],
});
const live: TwilioCaller[] = [];
try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  for (const call of live) call.hangUp();
  await daemon.kill();
  await rm(dir, { recursive: true, force: true });
}

async function run(): Promise<boolean> {
  const ids = await recordings();
  const calling = Array.from({ length: liveCalls }, (_, at) =>
    caller(at === 0 ? 'AC3' : 'AC1', `CAlive${at}`),
  );
  live.push(...calling);
  const results = calling.map((each) => each.call());
  await eventually('calls are up', async () => {
    const { calls } = await daemon.json<{ calls: { recordingId: string | null }[] }>('/v1/calls');
    ids.push(...calls.flatMap(({ recordingId }) => recordingId ?? []));
    return calls.length === liveCalls;
  });
  const file = join(dir, 'schemathesis.toml');
  await writeFile(file, configurationFor([...new Set(ids)]));
  const codes: (number | null)[] = [];
  for (const seed of seeds) {
    console.log(`schemathesis with seed ${seed}`);
    codes.push(await fuzz(file, seed));
  }
  for (const each of calling) each.hangUp();
  const problems = [
    ...codes.flatMap((code, at) =>
      code === 0 ? [] : [`seed ${seeds[at] ?? ''}: schemathesis ended with ${code}`],
    ),
    ...(daemon.alive ? [] : ['the daemon has ended']),
    ...daemon
      .logged(50)
      .map((line) => `the daemon says: ${JSON.stringify(line)}`)
      .filter(isFault),
  ];
  for (const [at, { violations, streams }] of (await Promise.all(results)).entries())
    if (violations.length > 0 || streams[0]?.closedBy !== 'caller')
      problems.push(
        `call ${at} noticed: ${JSON.stringify(violations)}, ended by ${streams[0]?.closedBy ?? 'nobody'}`,
      );
  for (const problem of problems) console.log(problem);
  console.log(problems.length === 0 ? 'every answer was as described' : `${problems.length} problems`);
  return problems.length === 0;
}

/** A recording that fails for want of a store is told as an error, and meant. */
function isFault(line: string): boolean {
  return !line.includes('no_store');
}

function caller(accountSid: string, callSid: string, length?: number): TwilioCaller {
  const duration = length === undefined ? {} : { seconds: length };
  return new TwilioCaller({ url: daemon.media('/twilio'), accountSid, callSid, ...duration });
}

/** Of every kind. @returns their ids */
async function recordings(): Promise<string[]> {
  const stored = Array.from({ length: storedCalls }, (_, at) => caller('AC1', `CAstored${at}`, 2));
  await Promise.all([...stored, caller('AC2', 'CAfailed', 1)].map((each) => each.call()));
  const listed = await eventually('they are stored', async () => {
    const all = await daemon.recordings();
    const over = all.filter(({ state }) => state === 'complete' || state === 'failed');
    return over.length === storedCalls + 1 && over;
  });
  const ids = listed.map(({ recordingId }) => recordingId);
  const [gone, ...rest] = listed
    .filter(({ state }) => state === 'complete')
    .map(({ recordingId }) => recordingId);
  await daemon.ask('DELETE', `/v1/recordings/${gone ?? ''}`);
  for (const id of rest.slice(0, storedCalls / 3)) await daemon.ask('PUT', `/v1/recordings/${id}/hold`);
  return ids;
}

/** Ids that mean something, beside those that schemathesis makes up. */
function configurationFor(ids: readonly string[]): string {
  const today = new Date().toISOString().slice(0, 10).replaceAll('-', '');
  const values: Record<string, readonly string[]> = {
    'path.id': ids,
    'path.file': ['0.wav', '0.json', '1.wav', '99.wav'],
    'path.eventId': ids.flatMap((id) => [`msg_${id}_started`, `msg_${id}_completed`]),
    'path.callId': ['CAlive0', 'CAlive1', 'CAstored1'],
    'query.account': ['AC1', 'AC2', 'AC3'],
    'query.callId': ['CAstored1', 'CAlive1'],
    'query.recordingId': ids,
    'query.day': [today],
    'query.channel': ['0', '1', 'mix'],
    'query.from': ['0', '0.5s', '2026-01-01T00:00:00Z'],
    'query.to': ['8000', '1.5s', '2100-01-01T00:00:00Z'],
  };
  const names = Object.keys(values);
  const dictionaries = names.map(
    (name, at) => `[dictionaries.d${at}]\nvalues = ${JSON.stringify(values[name])}`,
  );
  const bindings = names.map((name, at) => `"${name}" = { dictionary = "d${at}", probability = 0.7 }`);
  // A 503 says when to ask again; any other 5xx is a fault.
  const accepted = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", "503"]';
  return `${[...dictionaries, `[parameters]\n${bindings.join('\n')}`, accepted].join('\n\n')}\n`;
}

/** @returns its exit code */
async function fuzz(file: string, seed: number): Promise<number | null> {
  const url = `http://127.0.0.1:${daemon.controlPort}`;
  const bounds = ['--max-time', String(Math.ceil(seconds / seeds.length)), '--request-timeout', '20'];
  const own = ['--checks', checks.join(','), '--seed', String(seed), '--generation-database', 'none'];
  const child = spawn(
    program,
    [
      '--config-file',
      file,
      'run',
      `${url}/openapi.json`,
      ...bounds,
      ...own,
      '--continue-on-failure',
      '--no-color',
    ],
    // What it leaves lies where everything else does.
    { cwd: dir, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const [code] = (await Promise.race([
    once(child, 'exit'),
    once(child, 'error').then(([error]) => Promise.reject(error as Error)),
  ])) as [number | null];
  return code;
}
