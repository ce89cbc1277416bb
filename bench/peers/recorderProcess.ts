/*
 * A stand-in for the recorder in jambonz's api-server, written from what is known of it: the socket as a stream, piped into a WAV
 * writer or an MP3 encoder, piped into an upload in parts. A peer of the bench, for what such a path costs, and nothing else.
 *
 *     node recorderProcess.js ENDPOINT wav|mp3
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { PassThrough, type Transform } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { Writer } from 'wav';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import { Mp3Transform } from './Mp3Transform.js';

interface Start {
  readonly callSid: string;
  readonly sampleRate: number;
}

const [endpoint = '', format = 'wav'] = process.argv.slice(2);
const client = new S3Client({
  endpoint,
  region: 'us-east-1',
  forcePathStyle: true,
  credentials: { accessKeyId: 'bench', secretAccessKey: 'bench' },
});
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', backlog: 4096, perMessageDeflate: false });
server.on('connection', (socket) => {
  // The first message says what follows; the stream begins behind it.
  socket.once('message', (data: Buffer) => record(socket, JSON.parse(data.toString()) as Start));
});
await once(server, 'listening');
console.log((server.address() as AddressInfo).port);

function record(socket: WebSocket, { callSid, sampleRate }: Start): void {
  const body = new PassThrough();
  const upload = new Upload({
    client,
    params: { Bucket: 'recordings', Key: `2026/01/01/${callSid}.${format}`, Body: body },
  });
  upload.done().catch((error: unknown) => console.error(error));
  createWebSocketStream(socket)
    .on('error', () => body.end())
    .pipe(encoder(sampleRate))
    .pipe(body);
}

function encoder(sampleRate: number): Transform {
  return format === 'mp3'
    ? new Mp3Transform(sampleRate)
    : new Writer({ channels: 2, sampleRate, bitDepth: 16 });
}
