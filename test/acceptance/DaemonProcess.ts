import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { killedItself } from '../../src/control/KillPoint.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { RecordingFolder, recordingsBelow, recordingsById } from '../../src/spool/RecordingFolder.js';
import { eventually } from './eventually.js';

export interface DaemonOptions {
  /** Holds configuration, spool and store; a restart finds there what its predecessor left. */
  readonly dir: string;
  readonly accounts: readonly AccountEntry[];
  readonly chunkSeconds?: number;
  /** Default 100. */
  readonly flushMs?: number;
  /** Calls at once; default: the daemon's own. */
  readonly calls?: number;
  /** What the control port is asked with; default: no keys are configured, and this machine is answered without. */
  readonly adminKey?: string;
  /** Added to the command line. */
  readonly flags?: readonly string[];
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where its log goes and comes from; default: a pipe that is always read. */
  readonly output?: { readonly childEnd: number; readonly lines: Readable };
  /** Further sections of the configuration file, or keys added to those above. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>> | string>>;
}

/** An account as the configuration file has it. */
export interface AccountEntry {
  readonly id: string;
  readonly upstream?: string | { readonly twilio: string; readonly jambonz: string };
  readonly resumeSeconds?: number;
  readonly record?: 'always' | 'never' | 'onRequest';
  readonly prompt?: string;
  readonly jambonz?: Readonly<Record<string, unknown>>;
  readonly livekit?: Readonly<Record<string, unknown>>;
  readonly apiKeys?: readonly unknown[];
  readonly webhooks?: readonly Readonly<Record<string, unknown>>[];
  /** Null: none. Default: the test's own folder. */
  readonly store?: Readonly<Record<string, unknown>> | null;
}

export interface LogLine {
  readonly msg: string;
  /** 30 tells, 40 warns, 50 is an error, 60 a fault that nobody caught. */
  readonly level?: number;
  readonly [key: string]: unknown;
}

/** A recording as the list shows it. */
export interface ListedRecording {
  readonly recordingId: string;
  readonly callId: string;
  readonly state: Manifest['state'];
  readonly samples: number;
}

const entry = fileURLToPath(new URL('../../src/cli/reelay.cjs', import.meta.url));
const running = new Set<ChildProcess>();
// Whatever ends a test, no daemon outlives it.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** The real daemon in a process of its own, as a person would start it, with ports of its own choice. */
export class DaemonProcess {
  readonly dir: string;
  readonly flushMs: number;
  readonly logs: LogLine[] = [];
  mediaPort = 0;
  controlPort = 0;
  readonly #env: NodeJS.ProcessEnv;
  readonly #flags: readonly string[];
  readonly #output: DaemonOptions['output'];
  readonly #config: Readonly<Record<string, unknown>>;
  readonly #keyHeader: Readonly<Record<string, string>>;
  #child: ChildProcess | null = null;
  #closed: Promise<unknown> = Promise.resolve();
  #killedMs = Infinity;
  #stderr = '';

  private constructor(options: DaemonOptions) {
    const { dir, accounts, chunkSeconds = 60, flushMs = 100, calls, env = {}, config: more = {} } = options;
    this.dir = dir;
    this.flushMs = flushMs;
    this.#env = { ...process.env, ...env };
    this.#flags = options.flags ?? [];
    this.#output = options.output;
    const { adminKey } = options;
    this.#keyHeader = adminKey === undefined ? {} : { authorization: `Bearer ${adminKey}` };
    mkdirSync(dir, { recursive: true });
    const own: Record<string, Readonly<Record<string, unknown>>> = {
      media: { host: '127.0.0.1', port: 0 },
      control: { host: '127.0.0.1', port: 0, ...(adminKey === undefined ? {} : { adminKeys: [adminKey] }) },
      spool: { dir: this.spoolDir, flushMs },
      recording: { chunkSeconds },
      // The machine is shared with other tests; that it is short of CPU must not cost a recording that is looked at here.
      limits: { loopDelayMs: 60_000, ...(calls === undefined ? {} : { calls }) },
    };
    for (const [name, section] of Object.entries(more)) {
      if (typeof section !== 'string') own[name] = { ...own[name], ...section };
    }
    this.#config = { ...more, ...own };
    this.configure(accounts);
  }

  /**
   * When it was killed with -9, or killed itself, ms of `performance.now()`; Infinity for one that wasn't. It may be gone some hundred
   * ms later only: a process gives back its memory and waits for its disk first.
   */
  get killedMs(): number {
    return this.#killedMs;
  }

  /** Writes the configuration anew with other accounts; a running daemon reads it when it is told to, or started again. */
  configure(accounts: readonly AccountEntry[]): void {
    const file = { type: 'file', dir: this.storeDir };
    const withStore = accounts.map(({ store = file, ...account }) => ({ ...account, store }));
    writeFileSync(this.#configFile, JSON.stringify({ ...this.#config, accounts: withStore }, null, 2));
  }

  /** Has it read its configuration again. */
  reload(): void {
    this.signal('SIGHUP');
  }

  /** Sends it a signal and doesn't wait; one that is gone gets none, nor does a process that has its number by now. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Writes the configuration and starts nothing yet. */
  static prepare(options: DaemonOptions): DaemonProcess {
    return new DaemonProcess(options);
  }

  /** Writes the configuration and starts; resolves when both ports are open. */
  static async start(options: DaemonOptions): Promise<DaemonProcess> {
    const daemon = DaemonProcess.prepare(options);
    await daemon.restart();
    return daemon;
  }

  get spoolDir(): string {
    return join(this.dir, 'spool');
  }

  get storeDir(): string {
    return join(this.dir, 'recordings');
  }

  /** @throws Error when it was never started: a signal to what stands for no process could reach every process */
  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('the daemon was never started');
    return pid;
  }

  get alive(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null;
  }

  /**
   * Starts it, again if it was ended, on the same folders.
   *
   * @param env - added to the environment of this one life
   * @throws Error when it ends before it is ready
   */
  async restart(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#stderr = '';
    const child = spawn(process.execPath, [entry, 'serve', '--config', this.#configFile, ...this.#flags], {
      cwd: this.dir,
      env: { ...this.#env, ...env },
      stdio: ['ignore', this.#output?.childEnd ?? 'pipe', 'pipe'],
    });
    const output = this.#output?.lines ?? child.stdout;
    if (output === null || child.stderr === null) throw new Error('the daemon has no output');
    this.#child = child;
    this.#closed = new Promise((resolve) => child.once('close', resolve));
    this.#killedMs = Infinity;
    running.add(child);
    child.once('exit', () => running.delete(child));
    child.stderr.on('data', (text: Buffer) => (this.#stderr += text.toString()));
    const lines = createInterface(output);
    const ready = new Promise<LogLine>((resolve, reject) => {
      lines.on('line', (text) => {
        const line = parse(text);
        this.logs.push(line);
        if (line.msg === 'reelay is ready') resolve(line);
        if (line.msg === killedItself) this.#killedMs = Number(line['time']) - performance.timeOrigin;
      });
      child.once('exit', (code) => reject(new Error(`The daemon ended with ${code}: ${this.#stderr}`)));
    });
    const { mediaPort, controlPort } = await ready;
    this.mediaPort = Number(mediaPort);
    this.controlPort = Number(controlPort);
  }

  /** Ends it and waits until it is gone, and everything that it said has been read. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<{ code: number | null; signal: string | null }> {
    const child = this.#child;
    if (child === null) return { code: null, signal: null };
    if (this.alive) {
      if (signal === 'SIGKILL') this.#killedMs = Math.min(this.#killedMs, performance.now());
      child.kill(signal);
    }
    await this.#closed;
    return { code: child.exitCode, signal: child.signalCode };
  }

  /** Waits until it is gone by itself. */
  async gone(): Promise<{ code: number | null; signal: string | null }> {
    await this.#closed;
    return { code: this.#child?.exitCode ?? null, signal: this.#child?.signalCode ?? null };
  }

  /** The address of a media route. */
  media(path: string): string {
    return `ws://127.0.0.1:${this.mediaPort}${path}`;
  }

  /** @param body - sent as JSON; undefined: none */
  async post(path: string, body?: unknown): Promise<Response> {
    return await this.ask('POST', path, body);
  }

  /** Asks the control port with any method. @param body - sent as JSON; undefined: none */
  async ask(method: string, path: string, body?: unknown): Promise<Response> {
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    return await fetch(`http://127.0.0.1:${this.controlPort}${path}`, {
      method,
      headers: { ...this.#keyHeader, ...json },
      body: body === undefined ? null : JSON.stringify(body),
    });
  }

  /** Asks the control port, once more where the connection broke: it may have been kept from a control thread that is no more. */
  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const ask = async (): Promise<Response> =>
      await fetch(`http://127.0.0.1:${this.controlPort}${path}`, {
        headers: { ...this.#keyHeader, ...headers },
      });
    try {
      return await ask();
    } catch (error) {
      const { code } = ((error as Error).cause ?? {}) as { readonly code?: string };
      if (code !== 'UND_ERR_SOCKET' && code !== 'ECONNRESET') throw error;
      return await ask();
    }
  }

  async json<T>(path: string): Promise<T> {
    const response = await this.get(path);
    if (!response.ok) throw new Error(`${path} gave ${response.status}: ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** Breaks a thread, as `REELAY_FAULTS=1` allows. */
  async fault(thread: 'recorder' | 'control' | 'rooms', fault: string): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.controlPort}/v1/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ thread, fault }),
    });
    if (response.status !== 202) throw new Error(`fault gave ${response.status}: ${await response.text()}`);
    await response.arrayBuffer();
  }

  /** States of the threads, as the media port tells them. */
  async threads(): Promise<Readonly<Record<string, string>>> {
    const response = await fetch(`http://127.0.0.1:${this.mediaPort}/healthz`);
    return ((await response.json()) as { threads: Record<string, string> }).threads;
  }

  async recordings(query = ''): Promise<ListedRecording[]> {
    const { recordings } = await this.json<{ recordings: ListedRecording[] }>(
      `/v1/recordings?limit=1000${query}`,
    );
    return recordings;
  }

  /** The value of a metric without labels. */
  async metric(name: string): Promise<number> {
    const text = await (await this.get('/metrics')).text();
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
    if (value === undefined) throw new Error(`there is no metric ${name}`);
    return Number(value);
  }

  /** The only recording of a call, once it is whole in its store. */
  async stored(callId: string): Promise<RecordingFolder> {
    await eventually(`the recording of ${callId} is stored`, async () => {
      const [one] = await this.recordings(`&callId=${callId}`);
      if (one === undefined || one.state === 'recording' || one.state === 'uploading') return false;
      return (await recordingsById(callId, [this.spoolDir])).length === 0;
    });
    const found = await recordingsById(callId, [this.storeDir]);
    const [folder] = found;
    if (folder === undefined || found.length > 1) {
      throw new Error(`${found.length} recordings of ${callId} in the store`);
    }
    return folder;
  }

  /** Folders of recordings that the spool still holds. */
  async spooled(): Promise<string[]> {
    return await recordingsBelow(this.spoolDir);
  }

  /** Lines of the log from a level on: 40 are warnings, 50 errors, 60 faults that nobody caught. */
  logged(level: number): LogLine[] {
    const faults = this.#stderr === '' ? [] : [{ msg: this.#stderr, level: 60 }];
    return [...this.logs, ...faults].filter((line) => (line.level ?? 0) >= level);
  }

  get #configFile(): string {
    return join(this.dir, 'reelay.json');
  }
}

function parse(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return { msg: text };
  }
}
