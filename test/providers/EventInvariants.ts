import assert from 'node:assert/strict';
import { errorCodes } from '../../src/config/ReelayError.js';
import { isSafeId } from '../../src/providers/Dialect.js';
import type { Dialect, InvalidEvent, ProviderEvent, UpstreamEvent } from '../../src/providers/Dialect.js';

/** Reads one message from both sides and throws unless every event keeps the promises of its type. */
export function readBothSides(dialect: Dialect, data: Buffer, isBinary: boolean): void {
  const before = Buffer.from(data);
  checkProviderEvent(dialect.readProvider(data, isBinary), dialect, data);
  checkUpstreamEvent(dialect.readUpstream(data, isBinary), data);
  assert.ok(before.equals(data), 'a reader must not write into the message');
}

export function checkProviderEvent(event: ProviderEvent, dialect: Dialect, data: Buffer): void {
  switch (event.kind) {
    case 'start': {
      assert.ok(isSafeId(event.accountId) && isSafeId(event.callId));
      assert.ok(event.streamId === null || isSafeId(event.streamId));
      assert.ok(
        Number.isInteger(event.sampleRate) && event.sampleRate >= 4000 && event.sampleRate <= 192_000,
      );
      assert.ok(event.tracks.length > 0 && new Set(event.tracks).size === event.tracks.length);
      assert.equal(event.channels, event.tracks.includes('both') ? 2 : 1);
      for (const text of [event.from, event.to, event.direction]) {
        assert.ok(text === null || typeof text === 'string');
      }
      assert.ok(Buffer.byteLength(JSON.stringify(event.parameters)) <= 40_000);
      checkCodes(event.warnings);
      break;
    }
    case 'audio':
      checkPayload(event.payload, data);
      checkCodes(event.warnings);
      checkStreamId(event.streamId);
      assert.ok(dialect.capabilities.timestamps ? event.timestampMs >= 0 : Number.isNaN(event.timestampMs));
      break;
    case 'dtmf':
      assert.match(event.digit, /^[0-9*#A-D]$/);
      assert.ok(event.durationMs === null || event.durationMs >= 0);
      break;
    case 'mark':
      assert.ok(event.name.length > 0 && event.name.length <= 1024);
      assert.equal(typeof event.cleared, 'boolean');
      break;
    case 'clipDone':
      assert.ok(event.id === null || typeof event.id === 'string');
      assert.ok(event.playedMs === null || event.playedMs >= 0);
      break;
    case 'stop':
      checkStreamId(event.streamId);
      break;
    case 'finish':
      assert.equal(data.length, 0);
      break;
    case 'connected':
      break;
    case 'unknown':
      assert.ok(event.name.length <= 80);
      break;
    case 'invalid':
      checkInvalid(event);
      break;
    default:
      assert.fail(`no such event: ${JSON.stringify(event)}`);
  }
}

export function checkUpstreamEvent(event: UpstreamEvent, data: Buffer): void {
  switch (event.kind) {
    case 'audio':
      checkPayload(event.payload, data);
      checkStreamId(event.streamId);
      checkCodes(event.warnings);
      break;
    case 'clip':
      assert.ok(event.payload.length > 0 && event.payload.length % 2 === 0);
      assert.ok(
        Number.isInteger(event.sampleRate) && event.sampleRate >= 4000 && event.sampleRate <= 192_000,
      );
      assert.equal(typeof event.queued, 'boolean');
      assert.ok(event.id === null || typeof event.id === 'string');
      checkCodes(event.warnings);
      break;
    case 'mark':
      assert.ok(event.name.length > 0 && event.name.length <= 1024);
      break;
    case 'clear':
      checkStreamId(event.streamId);
      break;
    case 'recording': {
      const { request } = event;
      assert.ok(['pause', 'resume', 'stop', 'start'].includes(request.deed));
      if (request.deed === 'pause') assert.ok(['silence', 'skip'].includes(request.mode));
      checkStreamId(event.streamId);
      break;
    }
    case 'clearMarks':
    case 'disconnect':
      break;
    case 'unknown':
      assert.ok(event.name.length <= 80);
      break;
    case 'invalid':
      checkInvalid(event);
      break;
    default:
      assert.fail(`no such event: ${JSON.stringify(event)}`);
  }
}

function checkPayload(payload: Uint8Array, data: Buffer): void {
  assert.ok(payload.length > 0 && payload.length <= data.length);
}

function checkStreamId(streamId: unknown): void {
  assert.ok(streamId === null || typeof streamId === 'string');
}

function checkInvalid(event: InvalidEvent): void {
  checkCodes([event.code]);
  assert.equal(typeof event.drop, 'boolean');
  assert.ok(event.value === undefined || event.value.length <= 80);
}

function checkCodes(codes: readonly string[]): void {
  for (const code of codes) assert.ok(Object.hasOwn(errorCodes, code), `no such code: ${code}`);
}
