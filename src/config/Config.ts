/**
 * The configuration as every thread sees it: frozen, fully defaulted plain data. It is parsed and validated once, in the
 * control thread (`schema.ts`, `load.ts`), and handed to the others as a structured clone, so nothing here may be a class,
 * a function or a promise.
 */

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
}

export interface FileStoreConfig {
  readonly type: 'file';
  /** Folder that receives the object tree; absolute. */
  readonly dir: string;
}

export type StoreConfig = FileStoreConfig;

export interface AccountConfig {
  /** The account id that the call itself carries; `*` is an explicit catch-all. */
  readonly id: string;
  /** Bot URL by dialect; null where that dialect is record-only. */
  readonly upstream: { readonly twilio: string | null; readonly jambonz: string | null };
  readonly onUpstreamLoss: UpstreamLossPolicy;
  /** How long, after a stream's end, a new stream of the same call continues its recording. Default 5. */
  readonly resumeSeconds: number;
  readonly twilio: TwilioAccount;
  readonly jambonz: JambonzAccount;
  /** Null: calls are relayed, their recordings are `failed` with reason `no_store`. */
  readonly store: StoreConfig | null;
  /** Bearer keys that see this account on the control port. */
  readonly apiKeys: readonly string[];
  readonly record: 'always' | 'never';
}

export interface Config {
  readonly media: {
    readonly host: string;
    readonly port: number;
    /** Origin under which the provider reaches the media port, e.g. `https://relay.example.com`; null: the Host header. */
    readonly publicUrl: string | null;
  };
  readonly control: {
    readonly host: string;
    readonly port: number;
    /** Empty: the control port answers on loopback only, without a key. */
    readonly adminKeys: readonly string[];
  };
  readonly spool: {
    /** Absolute path. */
    readonly dir: string;
    /** Bytes. Default 10 GiB. */
    readonly maxBytes: number;
    /** Longest time between an audio frame's arrival and its bytes being handed to the kernel, in ms. Default 100. */
    readonly flushMs: number;
    /** Longest time between an audio frame's arrival and its being on the disk, in ms. Default 500. */
    readonly syncMs: number;
  };
  readonly recording: {
    readonly chunkSeconds: number;
    readonly channels: 'dual' | 'mixed';
    readonly layout: 'chunks';
  };
  readonly catalogue: { readonly url: string };
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
  };
  readonly log: { readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent' };
  readonly accounts: readonly AccountConfig[];
}

/**
 * The account that a call names, or undefined: there is no fallback but an explicit `*`.
 *
 * @param accountId - the account id in the call's own start message
 */
export function accountOf(config: Config, accountId: string): AccountConfig | undefined {
  return (
    config.accounts.find((account) => account.id === accountId) ??
    config.accounts.find((account) => account.id === '*')
  );
}
