/*
 * A proxy of WebSockets as short as one can write it, and with a folder in its command line one that records in line: what people
 * have before they have a relay. A peer of the bench, not an example.
 *
 *     node wsProxyProcess.js PORT-OF-BOT [FOLDER]
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { FileWriter } from 'wav';
import { WebSocket, WebSocketServer } from 'ws';

const [botPort, folder] = process.argv.slice(2);
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', backlog: 4096, perMessageDeflate: false });
let calls = 0;

server.on('connection', (caller, request) => {
  const bot = new WebSocket(`ws://127.0.0.1:${botPort}${request.url ?? '/'}`, { perMessageDeflate: false });
  const early: [Buffer, boolean][] = [];
  const tracks = folder === undefined ? null : openTracks(folder, ++calls);
  caller.on('message', (data: Buffer, isBinary) => {
    if (bot.readyState === WebSocket.OPEN) bot.send(data, { binary: isBinary });
    else early.push([data, isBinary]);
    tracks?.caller(data, isBinary);
  });
  bot.on('open', () => {
    for (const [data, isBinary] of early.splice(0)) bot.send(data, { binary: isBinary });
  });
  bot.on('message', (data: Buffer, isBinary) => {
    caller.send(data, { binary: isBinary });
    tracks?.bot(data, isBinary);
  });
  for (const [from, to] of [
    [caller, bot],
    [bot, caller],
  ] as const) {
    from.on('error', () => to.terminate());
    from.on('close', () => to.close());
  }
  caller.on('close', () => tracks?.end());
});
await once(server, 'listening');
console.log((server.address() as AddressInfo).port);

type Track = (data: Buffer, isBinary: boolean) => void;

function openTracks(dir: string, call: number): { caller: Track; bot: Track; end: () => void } {
  const open = (party: string): FileWriter =>
    new FileWriter(join(dir, `${call}-${party}.wav`), { channels: 1, sampleRate: 8000, bitDepth: 16 });
  const [caller, bot] = [open('caller'), open('bot')];
  return {
    caller: (data, isBinary) => record(caller, data, isBinary),
    bot: (data, isBinary) => record(bot, data, isBinary),
    end: () => {
      caller.end();
      bot.end();
    },
  };
}

interface Message {
  readonly event?: string;
  readonly media?: { readonly payload?: string };
}

function record(track: FileWriter, data: Buffer, isBinary: boolean): void {
  if (isBinary) {
    track.write(data);
    return;
  }
  const message = JSON.parse(data.toString()) as Message;
  if (message.event !== 'media' || message.media?.payload === undefined) return;
  const mulaw = Buffer.from(message.media.payload, 'base64');
  const linear = Buffer.alloc(mulaw.length * 2);
  for (const [index, value] of mulaw.entries()) linear.writeInt16LE(linearOf[value] ?? 0, index * 2);
  track.write(linear);
}

/** G.711 mu-law (ITU-T G.711, table 2). */
const linearOf = Int16Array.from({ length: 256 }, (_none, code) => {
  const bits = ~code & 0xff;
  const magnitude = ((((bits & 0x0f) << 3) + 0x84) << ((bits & 0x70) >> 4)) - 0x84;
  return (bits & 0x80) === 0 ? magnitude : -magnitude;
});
