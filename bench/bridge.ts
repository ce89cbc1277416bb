/*
 * How long words take between a phone call and an agent in a LiveKit room: the caller says one, the agent answers it, and somebody else in
 * the room hears the answer as well. What reelay adds is what both ways of the call take together less what LiveKit takes between two
 * participants, twice.
 *
 *     REELAY_LIVEKIT=$(.ci/livekit) npm run bench:bridge -- [turns=200]
 *
 * A turn takes 0.8 s. Server, agent, listener and phone run on the same machine, each in a process of its own. Exit 1 when a word isn't heard.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DaemonProcess } from '../test/acceptance/DaemonProcess.js';
import { AnsweredCall, toldOf } from '../test/acceptance/rooms/AnsweredCall.js';
import { apiKey, apiSecret, LiveKitServer } from '../test/acceptance/rooms/LiveKitServer.js';
import { twilioWire } from '../test/acceptance/rooms/PhoneWire.js';
import { argument } from './argument.js';

const turns = argument('turns', 200);
const binary = process.env['REELAY_LIVEKIT'] ?? '';
if (binary === '') throw new Error('REELAY_LIVEKIT must name the server that .ci/livekit builds.');
const account = 'AC0123';

// So that nothing outlives it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const dir = await mkdtemp(join(tmpdir(), 'reelay-bridge-'));
const server = await LiveKitServer.open(binary, join(dir, 'livekit'), null);
const livekit = { url: server.url, apiKey, apiSecret };
const daemon = await DaemonProcess.start({
  dir,
  accounts: [{ id: account, upstream: 'livekit://call-{callId}?departureSeconds=2', livekit }],
});
try {
  const call = await AnsweredCall.open(server, 'call-CA1', daemon.mediaPort, twilioWire(account, 'CA1'));
  const measured = await call.speak(turns);
  call.phone.hangUp();
  await call.leave();
  console.log(`${turns} turns, ${measured.lost} of them not heard`);
  for (const line of toldOf(measured)) console.log(line);
  if (measured.lost > 0) process.exitCode = 1;
} finally {
  await daemon.kill();
  await server.kill();
  await rm(dir, { recursive: true, force: true });
}
