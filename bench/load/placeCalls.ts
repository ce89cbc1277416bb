import { LogHistogram } from '../LogHistogram.js';
import { LoadProcess, type LoadLine } from './LoadProcess.js';

/** Twilio and jambonz are echoed by the bot; `record` is how jambonz sends a call to a recorder, from which nothing comes back. */
export type LoadDialect = 'twilio' | 'jambonz' | 'record';

export interface LoadOrder {
  /** Of the relay, on 127.0.0.1. */
  readonly port: number;
  readonly path: string;
  readonly dialect: LoadDialect;
  readonly calls: number;
  /** The processor that the callers run on; null: any. */
  readonly core: number | null;
  /** They run before everything else on their processor. Default false. */
  readonly isFirst?: boolean;
  /** By then all calls have to be up, ms. */
  readonly connectMs: number;
  readonly settleMs: number;
  readonly windowMs: number;
  /** How long late frames are awaited after the window. */
  readonly drainMs: number;
  /** Calls that are being set up at once; default 32. */
  readonly together?: number;
  /** Calls that begin in a second, at most; default: as many as can. */
  readonly rate?: number;
  /** Addresses 127.0.0.2 and on that callers come from; default: only the usual one. */
  readonly sources?: number;
  /** Silent calls, which say one frame each. Default false. */
  readonly isIdle?: boolean;
}

/** What became of the frames, counted by the callers. */
export interface LoadReport {
  readonly up: number;
  readonly upMs: number;
  readonly sent: number;
  readonly received: number;
  /** Frames that were left out, and that came twice or behind later ones. */
  readonly lost: number;
  readonly misplaced: number;
  /** Frames that are not as they were sent. */
  readonly foreign: number;
  /** Not sent, because the relay had stopped reading. */
  readonly skipped: number;
  /** Sent and not come back when their time was over. */
  readonly outstanding: number;
  readonly refused: number;
  readonly cut: number;
  readonly windowSent: number;
  readonly windowReceived: number;
  /** Bytes of a frame's message, without the WebSocket's header. */
  readonly frameBytes: number;
  /** Frames that were sent in the window. */
  readonly roundTrip: LogHistogram;
  /** By how much the callers themselves were late. */
  readonly lateness: LogHistogram;
}

/** What is done when, while calls are up. Called at once, with nothing awaited. */
export interface LoadWatch {
  readonly onUp?: () => void;
  readonly onBegin?: () => void;
  readonly onEnd?: () => void;
}

/**
 * Places calls, lets them speak, and hangs up.
 *
 * @throws Error when the load program fails
 */
export async function placeCalls(order: LoadOrder, watch: LoadWatch = {}): Promise<LoadReport> {
  let upMs = NaN;
  let report: LoadLine | undefined;
  const callers = LoadProcess.start(wordsOf(order), (line) => {
    if (line.event === 'up') {
      upMs = Number(line['ms']);
      watch.onUp?.();
    } else if (line.event === 'begin') watch.onBegin?.();
    else if (line.event === 'end') watch.onEnd?.();
    else report = line;
  });
  const code = await callers.ended;
  if (code !== 0 || report === undefined) throw new Error(`the callers ended with ${code}`);
  const { roundTrip, lateness, ...counts } = report as unknown as Counted;
  return { ...counts, upMs, roundTrip: histogramOf(roundTrip), lateness: histogramOf(lateness) };
}

function wordsOf(order: LoadOrder): string[] {
  const { port, path, dialect, calls, core, isFirst = false, together = 32, rate = 0, sources = 0 } = order;
  const values = {
    ...{ port, path, dialect, calls, core: core ?? -1, first: Number(isFirst), together, rate, sources },
    ...{ connect: order.connectMs, settle: order.settleMs, window: order.windowMs, drain: order.drainMs },
    idle: order.isIdle === true ? 1 : 0,
  };
  return ['caller', ...Object.entries(values).map(([name, value]) => `${name}=${value}`)];
}

type Counted = Omit<LoadReport, 'roundTrip' | 'lateness' | 'upMs'> & {
  readonly roundTrip: SparseHistogram;
  readonly lateness: SparseHistogram;
};

interface SparseHistogram {
  readonly counts: readonly (readonly [bucket: number, count: number])[];
  readonly max: number;
}

function histogramOf({ counts, max }: SparseHistogram): LogHistogram {
  const histogram = new LogHistogram([], max);
  for (const [bucket, count] of counts) histogram.counts[bucket] = count;
  return histogram;
}
