import type { CallResult, StreamResult, Violation } from './CallResult.js';
import { latencyOf, type Latency } from './LatencyMeter.js';

/** What `reelay call` says about its calls; plain data, printed as it is with `--json`. */
export interface CallReport {
  readonly calls: readonly CallLine[];
  readonly framesSent: number;
  readonly violations: readonly (Violation & { readonly callSid: string })[];
  /** Over all calls; null where nothing was echoed, so that nothing could be measured. */
  readonly latencyMs: Latency | null;
}

export interface CallLine {
  readonly callSid: string;
  /** Why the call, or its next stream, could not be opened. */
  readonly refused: string | null;
  readonly framesSent: number;
  readonly streams: readonly {
    readonly streamSid: string | null;
    readonly seconds: number;
    readonly heardSeconds: number;
    readonly marks: number;
    readonly closedBy: string;
    readonly closeCode: number;
  }[];
}

/** Lines for single calls are printed up to so many. */
const maxLines = 20;

export function callReport(results: readonly CallResult[]): CallReport {
  const latency = latencyOf(results.flatMap((result) => result.latencySamples));
  return {
    calls: results.map(lineOf),
    framesSent: results.reduce((sum, { framesSent }) => sum + framesSent, 0),
    violations: results.flatMap(({ callSid, violations }) => violations.map((one) => ({ callSid, ...one }))),
    latencyMs: latency.samples === 0 ? null : latency,
  };
}

/** Whether a call was refused, broke off without a close frame, or met something the provider would warn about. */
export function hasFailed({ calls, violations }: CallReport): boolean {
  return violations.length > 0 || calls.some((call) => call.refused !== null || call.streams.some(isBroken));
}

export function reportText(report: CallReport): string {
  const lines = report.calls.slice(0, maxLines).flatMap(rowsOf);
  const hidden = report.calls.length - maxLines;
  return [
    ...table([['call', 'seconds', 'frames', 'heard s', 'marks', 'end'], ...lines]),
    ...(hidden > 0 ? [`… and ${hidden} more calls`] : []),
    totals(report),
    ...problems(report),
    '',
  ].join('\n');
}

function lineOf(result: CallResult): CallLine {
  return {
    callSid: result.callSid,
    refused:
      result.refused === null ? null : [result.refused.status ?? '', result.refused.reason].join(' ').trim(),
    framesSent: result.framesSent,
    streams: result.streams.map((stream) => ({
      streamSid: stream.streamSid,
      seconds: round(stream.endMs / 1000),
      heardSeconds: round(heardSeconds(stream)),
      marks: stream.echoes.length,
      closedBy: stream.closedBy,
      closeCode: stream.closeCode,
    })),
  };
}

function heardSeconds(stream: StreamResult): number {
  return stream.heard.reduce((sum, { pcm, sampleRate }) => sum + pcm.length / sampleRate, 0);
}

function isBroken(stream: CallLine['streams'][number]): boolean {
  return stream.closedBy === 'server' && stream.closeCode !== 1000 && stream.closeCode !== 1005;
}

function rowsOf(call: CallLine): string[][] {
  const rows = call.streams.map((stream, index) => [
    index === 0 ? call.callSid : '',
    stream.seconds.toFixed(2),
    index === 0 ? String(call.framesSent) : '',
    stream.heardSeconds.toFixed(2),
    String(stream.marks),
    isBroken(stream) ? `broken off: server ${stream.closeCode}` : `${stream.closedBy} ${stream.closeCode}`,
  ]);
  return call.refused === null ? rows : [...rows, [call.callSid, '', '', '', '', `refused: ${call.refused}`]];
}

function totals({ calls, framesSent, latencyMs }: CallReport): string {
  const measured =
    latencyMs === null
      ? 'not measurable (nothing was echoed)'
      : `p50 ${ms(latencyMs.p50)}, p90 ${ms(latencyMs.p90)}, p99 ${ms(latencyMs.p99)}, max ${ms(latencyMs.max)} over ${latencyMs.samples} echoes`;
  return `${calls.length} calls, ${framesSent} frames sent. Round trip: ${measured}.`;
}

function problems({ violations }: CallReport): string[] {
  if (violations.length === 0) return ['No violations.'];
  const shown = violations.slice(0, maxLines).map(({ code, reason, atMs, value, callSid }) => {
    return `  ${code} at ${atMs.toFixed(0)} ms of ${callSid}: ${reason}: ${value}`;
  });
  return [`${violations.length} violations:`, ...shown];
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_cell, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
