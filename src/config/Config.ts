/**
 * The configuration as every thread sees it: frozen, fully defaulted plain data. It is parsed and validated once, in the
 * control thread (`schema.ts`, `load.ts`), and handed to the others as a structured clone, so nothing here may be a class,
 * a function or a promise.
 */

import type { ApiKey } from './ApiKey.js';

/** What happens to the provider's socket when the bot's socket is lost unexpectedly. */
export type UpstreamLossPolicy =
  /** Close the provider's socket too: the stream ends, as it would without a relay. */
  | 'close'
  /** Keep the caller's side open and go on recording. */
  | 'recordOnly'
  /** Dial the bot again and replay the start messages; frames wait in the bounded queue meanwhile. */
  | 'reconnect';

/** How a jambonz application sends audio back; the wire doesn't say, so it is configured. */
export type JambonzReturns = 'streaming' | 'playAudio' | 'none';

export interface TwilioAccount {
  /** Auth tokens that may have signed a request, newest first; several while a token is being rotated. */
  readonly authTokens: readonly string[];
  /** Whether a stream without the single-use start token of `POST /twilio/voice` is refused. Default false. */
  readonly requireToken: boolean;
}

export interface JambonzAccount {
  /** Credential pairs accepted as Basic authorization, at least one for an account that isn't loopback-only. */
  readonly credentials: readonly { readonly username: string; readonly password: string }[];
  readonly returns: JambonzReturns;
  /** Rate of the binary audio that the bot sends back in streaming mode, in Hz; null: the stream's own rate. */
  readonly returnSampleRate: number | null;
  /** Codec rate of the call leg in Hz, which decides the client's pre-buffer. Default 8000. */
  readonly legSampleRate: number;
  /** What the portal's object of a call on `/record` is: the account's `record_format` in jambonz. Default `mp3`, as there. */
  readonly recordFormat: RecordFormat;
}

export type RecordFormat = 'mp3' | 'wav';

/** A LiveKit server, or a project of LiveKit Cloud, whose rooms are joined and recorded. */
export interface LiveKitAccount {
  /** `ws://` or `wss://`; its HTTP API is at the same place. */
  readonly url: string;
  readonly apiKey: string;
  readonly apiSecret: string;
  /** Which rooms are recorded without being asked for: patterns of names, in which `*` is any text. Default `none`. */
  readonly rooms: 'all' | 'none' | readonly string[];
  /** How long a recorder stays in a room from which everybody has gone, s. Default 20. */
  readonly departureSeconds: number;
  /** Of the recordings, Hz. Default 48 000. */
  readonly sampleRate: number;
}

/**
 * Which objects a recording becomes. `chunks`: a WAV per chunk. `single`: one `audio.wav`. `both`: these and that. `jambonz`:
 * the object that jambonz's portal looks for, and `audio.wav` beside it where that object is an MP3.
 */
export type Layout = 'chunks' | 'single' | 'both' | 'jambonz';

export interface FileStoreConfig {
  readonly type: 'file';
  /** Folder that receives the object tree; absolute. */
  readonly dir: string;
}

/** A bucket of AWS S3 or of anything that speaks its protocol. */
export interface S3StoreConfig {
  readonly type: 's3';
  readonly bucket: string;
  /** Null: that of the AWS environment, else `us-east-1`. */
  readonly region: string | null;
  /** URL of a compatible store; null: AWS. */
  readonly endpoint: string | null;
  /** Put before every key, without slashes at its ends; '' for none. */
  readonly prefix: string;
  /** Bucket in the path instead of the host name. Default: true where there is an endpoint. */
  readonly pathStyle: boolean;
  /** Null: the SDK's default chain (environment, profile, instance or container role). */
  readonly credentials: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken: string | null;
  } | null;
  /** For example `STANDARD_IA`; null: the bucket's default. */
  readonly storageClass: string | null;
  /** Server-side encryption: null leaves it to the bucket. `kmsKeyId` null is the account's own key for S3. */
  readonly encryption:
    { readonly type: 'sse-s3' } | { readonly type: 'sse-kms'; readonly kmsKeyId: string | null } | null;
  /** Object tags, at most ten. */
  readonly tags: Readonly<Record<string, string>>;
}

/** A container of Azure Blob Storage; exactly one of `connectionString` and `sasUrl` is set. */
export interface AzureStoreConfig {
  readonly type: 'azure';
  readonly container: string;
  readonly connectionString: string | null;
  /** URL of the blob service or of the container with a shared access signature. */
  readonly sasUrl: string | null;
  /** As for S3. */
  readonly prefix: string;
}

export type StoreConfig = FileStoreConfig | S3StoreConfig | AzureStoreConfig;

export interface AccountConfig {
  /** The account id that the call itself carries; `*` is an explicit catch-all. */
  readonly id: string;
  /** Bot URL by dialect, or a room's (`livekit://…`, see `roomUrl.ts`); null where that dialect is record-only. */
  readonly upstream: { readonly twilio: string | null; readonly jambonz: string | null };
  readonly onUpstreamLoss: UpstreamLossPolicy;
  /** How long, after a stream's end, a new stream of the same call continues its recording. Default 5. */
  readonly resumeSeconds: number;
  readonly twilio: TwilioAccount;
  readonly jambonz: JambonzAccount;
  /** Null: it has no rooms. */
  readonly livekit: LiveKitAccount | null;
  /** Null: calls are relayed, their recordings are `failed` with reason `no_store`. */
  readonly store: StoreConfig | null;
  /** Bearer keys that see this account on the control port. */
  readonly apiKeys: readonly ApiKey[];
  /** Where this account is told what happens to its recordings. */
  readonly webhooks: readonly WebhookConfig[];
  readonly record: 'always' | 'never' | 'onRequest';
  /** What the caller hears when a recording begins: a name of {@link Config.prompts}, or `beep`; null: nothing. */
  readonly prompt: string | null;
  /** Recordings that are older are deleted; null: none. */
  readonly retentionDays: number | null;
}

export interface WebhookConfig {
  readonly url: string;
  /** `whsec_` and base64, as Standard Webhooks has it. */
  readonly secret: string;
  /** Types of events; null: all. */
  readonly events: readonly string[] | null;
}

/** The prompt that needs no file. */
export const beepName = 'beep';

/** Something that can be played to callers. */
export interface Prompt {
  /** Absolute, of a WAV or Ogg Opus file; null: it is made here. */
  readonly file: string | null;
  /** 16-bit mono samples by rate in Hz; empty until they are read. Shared, so that whoever is handed the configuration copies none. */
  readonly samples: Readonly<Record<number, SharedArrayBuffer>>;
}

export interface Config {
  readonly media: {
    readonly host: string;
    readonly port: number;
    /** Origin under which the provider reaches the media port, e.g. `https://relay.example.com`; null: the Host header. */
    readonly publicUrl: string | null;
    /** How long calls that are up may go on after SIGTERM before they are cut, s. Default 20. */
    readonly drainSeconds: number;
    /** Whether the native thread moves the frames of plain TCP sockets, where there is one. Default true. */
    readonly fastPath: boolean;
    /** Whether that thread comes before everything on its machine that isn't in real time, too. Default false. */
    readonly realtime: boolean;
  };
  readonly control: {
    readonly host: string;
    readonly port: number;
    /** Empty: the control port answers on loopback only, without a key. */
    readonly adminKeys: readonly ApiKey[];
    /** Signs the links by which recordings are shared; null: one of this start alone, so that links end with the daemon. */
    readonly linkSecret: string | null;
  };
  readonly spool: {
    /** Absolute path. */
    readonly dir: string;
    /** Bytes that the spool may hold before new calls go unrecorded. Default 10 GiB. */
    readonly maxBytes: number;
    /** Bytes of the disk that stay free in the same way; null: a twentieth of the disk, at most 1 GiB. */
    readonly minFreeBytes: number | null;
    /** Longest time between an audio frame's arrival and its bytes being handed to the kernel, in ms. Default 100. */
    readonly flushMs: number;
    /** Longest time between an audio frame's arrival and its being on the disk, in ms. Default 500. */
    readonly syncMs: number;
  };
  readonly recording: {
    readonly chunkSeconds: number;
    readonly channels: 'dual' | 'mixed';
    readonly layout: Exclude<Layout, 'jambonz'>;
    /** Accounts are told of a recording of which nothing was stored for this long, and a chunk. */
    readonly stalledMinutes: number;
    /** Absolute, of an Ed25519 key in PEM that signs manifests; null: nobody signs them. */
    readonly signingKeyFile: string | null;
    /** `mask`: keys that the caller presses are silence in the recording, and their digits are written nowhere. */
    readonly dtmf: 'keep' | 'mask';
  };
  /** By name. */
  readonly prompts: Readonly<Record<string, Prompt>>;
  /** jambonz's own recordings, `WS …/record/:vendor`. */
  readonly recordEndpoint: {
    /** Pairs that a whole jambonz has; the call's account is the one that its first frame names. Empty: loopback only. */
    readonly credentials: readonly { readonly username: string; readonly password: string }[];
    /** Default `jambonz`. */
    readonly layout: Layout;
    /** IANA time zone of jambonz's SBC, in which the portal's keys are dated. Default `UTC`. */
    readonly timeZone: string;
  };
  /** Where accounts are asked for that `accounts` doesn't list; null: nowhere. */
  readonly accountLookup: {
    /** `{account}` in it is replaced by the account's id. */
    readonly url: string;
    /** Sent as a Bearer key; null: none. */
    readonly key: string | null;
    /** How long an answer is good, s. Default 60. */
    readonly ttlSeconds: number;
    /** How long it is used on when no new one can be had, s. Default 86 400. */
    readonly staleSeconds: number;
    /** How long one question may take, ms. Default 2000. */
    readonly timeoutMs: number;
  } | null;
  readonly catalogue: {
    /** `memory:`, `sqlite:` and an absolute path, or `postgres://…`, which may hold a password. Default `sqlite:./reelay.db`. */
    readonly url: string;
  };
  readonly limits: {
    /** Calls at once; a further upgrade is answered with 503. Default 500. */
    readonly calls: number;
    /** Sockets that are accepted but haven't sent their start message; a further upgrade is answered with 503. Default 200. */
    readonly pendingStreams: number;
    /** How long a socket may stay without a start message, in ms. Default 10 000. */
    readonly startTimeoutMs: number;
    /** Audio that may wait for the bot's socket while it is being opened, in ms. Default 10 000. */
    readonly upstreamQueueMs: number;
    /** Bytes that may wait in a socket towards the bot before frames are dropped and counted. Default 1 MiB. */
    readonly upstreamBufferBytes: number;
    /** Bytes that may wait in a socket towards the provider before the bot's socket is paused. Default 16 MiB. */
    readonly providerBufferBytes: number;
    /** Size of the tap's ring in bytes. Default 64 MiB. */
    readonly ringBytes: number;
    /** How long a peer may take nothing of what waits for it, ms, before it is given up. Default 10 000. */
    readonly stalledMs: number;
    /**
     * The media thread's event-loop delay, p99 of some seconds, ms: beyond it new calls go unrecorded, beyond twice as much they are
     * refused. Default 200.
     */
    readonly loopDelayMs: number;
    /** Calls that one bridge process carries into rooms. Default 20: what a process costs grows with their square. */
    readonly bridgedCallsPerProcess: number;
    /** Bridge processes at once. Default 4. */
    readonly bridgeProcesses: number;
    /** Audio that the control port gives out, of all downloads together, bytes per second. Default 64 MiB. */
    readonly downloadBytesPerSecond: number;
    /**
     * Resident memory: beyond nine tenths of it new calls go unrecorded, beyond all of it they are refused. Null: four fifths of
     * what the machine, or its control group, has.
     */
    readonly memoryBytes: number | null;
    /** LiveKit rooms that one process joins: what it costs grows with their square. Default 4. */
    readonly roomsPerProcess: number;
    /** Tracks of one room that are recorded at once; a further one waits until another goes. Default 50. */
    readonly lanesPerRoom: number;
    /** Processes at once that join rooms; a room beyond waits for a place. Default 16. */
    readonly roomProcesses: number;
  };
  readonly log: { readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent' };
  readonly tracing: {
    /** URL that takes OTLP over HTTP; null: there are no traces. */
    readonly endpoint: string | null;
    /** Sent with every request there; may be secrets. */
    readonly headers: Readonly<Record<string, string>>;
    /** What traces call this program. Default `reelay`. */
    readonly serviceName: string;
  };
  readonly accounts: readonly AccountConfig[];
}

/**
 * The account that a call names, or undefined: there is no fallback but an explicit `*`.
 *
 * @param accountId - the account id in the call's own start message
 */
export function accountOf(config: Config, accountId: string): AccountConfig | undefined {
  const byId = indexOf(config.accounts);
  return byId.get(accountId) ?? byId.get('*');
}

/** Every stream asks for its account, on the thread that moves audio, and there may be thousands. */
const indexes = new WeakMap<readonly AccountConfig[], ReadonlyMap<string, AccountConfig>>();

function indexOf(accounts: readonly AccountConfig[]): ReadonlyMap<string, AccountConfig> {
  const known = indexes.get(accounts);
  if (known !== undefined) return known;
  // The first of those with one id is the one that counts.
  const index = new Map(accounts.map((account) => [account.id, account] as const).reverse());
  indexes.set(accounts, index);
  return index;
}
