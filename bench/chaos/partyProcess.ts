/*
 * All callers and bots of the chaos bench, in one process and so on one clock: each frame carries its number and the moment at which
 * it was sent. Sends by one timer, and does as little else as possible; how late that timer is itself is part of its answers.
 */
import { once } from 'node:events';
import { setPriority } from 'node:os';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type WebSocket, WebSocketServer } from 'ws';
import { FloodCall } from './FloodCall.js';
import type { OpenWindow } from './FrameReceiver.js';
import { LogHistogram } from '../LogHistogram.js';
import { PartyCall } from './PartyCall.js';
import type {
  HistogramData,
  Opened,
  OpenOrder,
  PartyAnswer,
  PartyCallReport,
  PartyOrder,
  PartyQuestion,
  WindowReport,
} from './PartyMessage.js';

type Call = PartyCall | FloodCall;

const tickMs = 1;
/** How long frames of a window, or of calls that end, may still come, ms. */
const patienceMs = 10_000;
/** What was queued at the caller's end is heard before it hangs up, ms. */
const playedMs = 300;

const groups = new Map<string, Call[]>();
const bySid = new Map<string, Call>();
let calls: readonly Call[] = [];
const window: OpenWindow = { fromUs: Infinity, toUs: Infinity, sent: 0, received: 0 };
let [up, down, lateness] = [new LogHistogram(), new LogHistogram(), new LogHistogram()];
const instruments = { window, up: () => up, down: () => down };

try {
  setPriority(Number(process.argv[2]));
} catch {
  // Takes root.
}
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
server.on('connection', (socket) => attach(socket));
await once(server, 'listening');
setInterval(tick, tickMs);
let lastUs = nowUs();
process.on('message', ({ id, order }: PartyQuestion) => {
  const answer = (result: PartyAnswer): unknown => process.send?.(result);
  handle(order).then(
    (result) => answer({ id, answer: result, problem: null }),
    (error: unknown) => answer({ id, answer: null, problem: String(error) }),
  );
});
process.once('disconnect', () => process.exit());
process.send?.(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`);

function nowUs(): number {
  return performance.now() * 1000;
}

function tick(): void {
  const us = nowUs();
  if (us >= window.fromUs && us < window.toUs) lateness.add(us - lastUs - tickMs * 1000);
  lastUs = us;
  for (const call of calls) call.tick(us);
}

/** The relay has dialled: the start message says whose bot is meant. */
function attach(socket: WebSocket): void {
  let call: Call | undefined;
  socket.on('error', () => undefined);
  socket.on('message', (data: Buffer) => {
    if (call !== undefined) call.heard(data);
    else {
      const { start } = JSON.parse(data.toString()) as { start?: { callSid: string } };
      if (start === undefined) return;
      call = bySid.get(start.callSid);
      call?.answered(socket);
    }
  });
}

async function handle(order: PartyOrder): Promise<PartyAnswer['answer']> {
  switch (order.type) {
    case 'open':
      return await open(order);
    case 'hangUp':
      return await hangUp(order.group);
    case 'deafen':
      for (const call of floods(order.group)) call.deafen(order.end, order.deaf);
      return null;
    case 'flow': {
      const [call] = floods(order.group);
      if (call === undefined) throw new Error(`there is no call in ${order.group}`);
      return call.flow();
    }
    case 'beginWindow':
      beginWindow();
      return null;
    case 'endWindow':
      return await endWindow();
  }
}

function floods(group: string): FloodCall[] {
  return (groups.get(group) ?? []).filter((call) => call instanceof FloodCall);
}

async function open(order: OpenOrder): Promise<Opened> {
  const made: Call[] = [];
  const dialled = Array.from({ length: order.calls }, async (_none, at) => {
    await sleep((at * order.overMs) / order.calls);
    const call = order.flood === undefined ? new PartyCall(order, instruments) : new FloodCall(order);
    bySid.set(call.callSid, call);
    const refusal = await call.dial();
    if (refusal === null) {
      made.push(call);
      calls = [...calls, call];
    } else bySid.delete(call.callSid);
    return refusal;
  });
  const refusals = (await Promise.all(dialled)).filter((refusal) => refusal !== null);
  groups.set(order.group, made);
  await patiently(() => made.every(({ isUp, isCut }) => isUp || isCut));
  return { up: made.filter(({ isUp }) => isUp).length, refusals };
}

/** Whoever still has something to hear hears it; then all hang up. */
async function hangUp(group: string): Promise<PartyCallReport[]> {
  const ending = groups.get(group) ?? [];
  const numbered = ending.filter((call) => call instanceof PartyCall);
  // The last one may just have come.
  await patiently(() => numbered.every(({ hasSpoken }) => hasSpoken));
  for (const call of numbered) call.silenceBot();
  await patiently(() => numbered.every(({ isHeardByCaller }) => isHeardByCaller));
  await sleep(playedMs);
  await Promise.race([Promise.all(ending.map((call) => call.hangUp(patiently))), sleep(2 * patienceMs)]);
  calls = calls.filter((call) => !ending.includes(call));
  for (const { callSid } of ending) bySid.delete(callSid);
  groups.delete(group);
  return numbered.map((call) => call.report());
}

/** Waits until it holds, but not for ever. */
async function patiently(holds: () => boolean): Promise<void> {
  const untilMs = performance.now() + patienceMs;
  while (!holds() && performance.now() < untilMs) await sleep(5);
}

function beginWindow(): void {
  [up, down, lateness] = [new LogHistogram(), new LogHistogram(), new LogHistogram()];
  Object.assign(window, { fromUs: nowUs(), toUs: Infinity, sent: 0, received: 0 });
}

async function endWindow(): Promise<WindowReport> {
  window.toUs = nowUs();
  await patiently(() => window.received >= window.sent);
  return { up: data(up), down: data(down), lateness: data(lateness) };
}

function data({ counts, max }: LogHistogram): HistogramData {
  return { counts: [...counts], max };
}
