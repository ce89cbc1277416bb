import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { WebhookReceiver, webhookSecret } from '../fixtures/WebhookReceiver.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';

/* What accounts are told by a real daemon of real calls, by a receiver that is asked by the reference library whether it may believe it. */

/** How many times faster than the wall clock the daemon waits. */
const speed = 600;
const hourMs = 3_600_000;

interface Shown {
  readonly eventId: string;
  readonly type: string;
  readonly state: string;
  readonly tries: number;
}

async function eventsOf(daemon: DaemonProcess, recordingId: string): Promise<Shown[]> {
  return (await daemon.json<{ deliveries: Shown[] }>(`/v1/recordings/${recordingId}/events`)).deliveries;
}

async function recordingOf(daemon: DaemonProcess, callId: string): Promise<string> {
  return await eventually('its recording is listed', async () => {
    const [one] = await daemon.recordings(`&callId=${callId}`);
    return one?.recordingId;
  });
}

/** Each once, as they came first. */
function firstOf(receiver: WebhookReceiver, recordingId: string): string[] {
  const mine = receiver.taken.filter((each) => each.recordingId === recordingId);
  return [...new Set(mine.map(({ id }) => id))];
}

async function keptIn(daemon: DaemonProcess): Promise<string[]> {
  return await readdir(join(daemon.storeDir, '_reelay', 'AC1', 'outbox')).catch(() => []);
}

/** @param stalledMinutes - as the daemon counts them */
async function start(receiver: WebhookReceiver, dir: string, stalledMinutes: number): Promise<DaemonProcess> {
  const webhooks = [{ url: receiver.url, secret: webhookSecret }];
  const daemon = await DaemonProcess.start({
    dir,
    chunkSeconds: 1,
    accounts: [
      { id: 'AC1', resumeSeconds: 0, webhooks },
      // A folder that can't be: a file has its place.
      {
        id: 'AC2',
        resumeSeconds: 0,
        webhooks,
        store: { type: 'file', dir: join(dir, 'taken', 'recordings') },
      },
    ],
    config: { recording: { stalledMinutes } },
    env: { REELAY_FAULTS: '1', REELAY_CLOCK_SPEED: String(speed) },
  });
  t.teardown(() => daemon.kill());
  return daemon;
}

void t.test(
  'a receiver that is down for an hour, in which the daemon is killed, gets all of it in order when it is back',
  async (t) => {
    const receiver = await WebhookReceiver.start(t);
    const kinds = [
      (response: ServerResponse) => void response.writeHead(503).end('not now'),
      (response: ServerResponse) => void response.destroy(),
    ];
    receiver.answer = (response) => kinds[receiver.requests % kinds.length]?.(response);
    const daemon = await start(receiver, join(t.testdir(), 'daemon'), 1440);
    const callIds = [randomUUID(), randomUUID()];
    await Promise.all(
      callIds.map((callSid) =>
        new TwilioCaller({ url: daemon.media('/twilio'), accountSid: 'AC1', callSid, seconds: 4 }).call(),
      ),
    );
    const ids = await Promise.all(callIds.map((callId) => recordingOf(daemon, callId)));
    for (const id of ids)
      await eventually('everything of it waits', async () => {
        const events = await eventsOf(daemon, id);
        return events.at(-1)?.type === 'recording.completed' && (events[0]?.tries ?? 0) > 1;
      });
    const expected = await Promise.all(ids.map((id) => eventsOf(daemon, id)));
    t.ok(
      expected.flat().every(({ state }) => state === 'waiting'),
      'nothing was taken',
    );
    await eventually('all of it lies in the store', async () => {
      return (await keptIn(daemon)).length === expected.flat().length;
    });
    await daemon.kill('SIGKILL');
    await daemon.restart();
    const { requests } = receiver;
    const beganMs = Date.now();
    await eventually('an hour goes by, and it is tried again', () => {
      return (Date.now() - beganMs) * speed > hourMs && receiver.requests > requests + 1;
    });
    t.same(receiver.taken, []);
    receiver.answer = (response) => void response.writeHead(204).end();
    for (const [at, id] of ids.entries()) {
      const names = expected[at]?.map(({ eventId }) => eventId) ?? [];
      await eventually('all of it is taken', () => firstOf(receiver, id).length >= names.length);
      t.same(firstOf(receiver, id), names, 'in order');
      t.same(
        names.map((name) => name.replace(`msg_${id}_`, '').replace(/_\d+$/, '')),
        ['started', ...Array<string>(names.length - 2).fill('chunk_stored'), 'completed'],
      );
      t.ok(names.length >= 6, 'four chunks at least');
    }
    t.same(receiver.problems, [], 'every signature is good');
    await eventually('nothing is left in the store', async () => (await keptIn(daemon)).length === 0);
    const [id = ''] = ids;
    const before = receiver.taken.length;
    const eventId = `msg_${id}_chunk_stored_1`;
    t.equal((await daemon.post(`/v1/recordings/${id}/events/${eventId}/replay`)).status, 202);
    await eventually('it is told again', () => receiver.taken.length > before);
    t.same(
      receiver.taken.slice(before).map(({ id: each }) => each),
      [eventId],
    );
  },
);

void t.test('a recording of which nothing is stored is told of, and the rest when it is', async (t) => {
  const receiver = await WebhookReceiver.start(t);
  const dir = join(t.testdir({ daemon: {} }), 'daemon');
  writeFileSync(join(dir, 'taken'), 'a file');
  const daemon = await start(receiver, dir, 30);
  const callSid = randomUUID();
  const caller = new TwilioCaller({ url: daemon.media('/twilio'), accountSid: 'AC2', callSid });
  const call = caller.call();
  await eventually('it stalls', () => receiver.taken.some(({ type }) => type === 'recording.stalled'));
  const id = await recordingOf(daemon, callSid);
  t.same(firstOf(receiver, id), [`msg_${id}_started`, `msg_${id}_stalled_0`]);
  t.match(receiver.taken.at(-1), {
    type: 'recording.stalled',
    data: { callId: callSid, chunk: 0, state: 'recording' },
  });
  caller.hangUp();
  await call;
  rmSync(join(dir, 'taken'));
  daemon.reload();
  await eventually('it is stored', () => firstOf(receiver, id).at(-1) === `msg_${id}_completed`);
  const chunks = firstOf(receiver, id).filter((each) => each.includes('chunk_stored'));
  t.same(firstOf(receiver, id), [
    `msg_${id}_started`,
    `msg_${id}_stalled_0`,
    ...chunks.map((_, index) => `msg_${id}_chunk_stored_${index}`),
    `msg_${id}_completed`,
  ]);
  t.ok(chunks.length >= 3);
  t.same(receiver.problems, []);
});
