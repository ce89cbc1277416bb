import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import type { S3StoreConfig } from '../config/Config.js';
import type { Clock } from './Clock.js';
import { patienceFor, withPatience } from './patience.js';
import { codeOf, s3FaultOf } from './S3Fault.js';
import { StoreFault } from './StoreFault.js';

export type S3Sdk = typeof import('@aws-sdk/client-s3');

/** One attempt at a request. */
export interface S3Attempt {
  readonly sdk: S3Sdk;
  /** Requests of the attempt end with it. */
  readonly client: Pick<S3Client, 'send' | 'config'>;
  /** Ends the attempt with an error that comes from elsewhere, such as the file that is being sent. */
  readonly fail: (error: Error) => void;
}

/** Sockets per store. */
const maxSockets = 64;
/** By the wall clock, ms: the last line of defence, below the attempt's own deadline. */
const connectMs = 10_000;
const idleMs = 60_000;

/**
 * The requests of one store: one client and its keep-alive sockets, made at the first request, since a daemon without such a
 * store shall not pay for the SDK. Each attempt has a deadline that grows with its bytes, and none is made twice here.
 */
export class S3Connection {
  readonly #config: S3StoreConfig;
  readonly #region: string;
  readonly clock: Clock;
  #opened: Promise<{ sdk: S3Sdk; client: S3Client }> | null = null;
  #agents: readonly (HttpAgent | HttpsAgent)[] = [];

  constructor(config: S3StoreConfig, region: string, clock: Clock) {
    this.#config = config;
    this.#region = region;
    this.clock = clock;
  }

  /**
   * @param bytes - how many the attempt moves
   * @throws StoreFault, and what `fail` was given
   */
  async attempt<T>(bytes: number, action: (attempt: S3Attempt) => Promise<T>): Promise<T> {
    try {
      const { sdk, client } = await this.#open();
      return await withPatience(this.clock, patienceFor(bytes), async (signal) => {
        const ended = new AbortController();
        const failed = new Promise<never>((_resolve, reject) => {
          signal.addEventListener('abort', () => ended.abort(signal.reason), { once: true });
          ended.signal.addEventListener('abort', () => reject(ended.signal.reason as Error), { once: true });
        });
        const send = (command: Parameters<S3Client['send']>[0]) =>
          client.send(signingBody(command), { abortSignal: ended.signal });
        const own = { config: client.config, send: send as S3Client['send'] };
        const fail = (error: Error) => ended.abort(new Local(error));
        return await Promise.race([action({ sdk, client: own, fail }), failed]);
      });
    } catch (error) {
      throw error instanceof Local ? error.cause : s3FaultOf(error);
    }
  }

  /**
   * The same for a request with a body. A store that refuses it may close the connection before all of it was sent, and its
   * answer is lost with it; whether it was a refusal is then found out by a question without a body.
   */
  async attemptSending<T>(
    fullKey: string,
    bytes: number,
    action: (attempt: S3Attempt) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.attempt(bytes, action);
    } catch (error) {
      if (error instanceof StoreFault && ['ECONNRESET', 'EPIPE'].includes(error.value ?? ''))
        await this.#askWhy(fullKey);
      throw error;
    }
  }

  /**
   * What a HEAD that failed can't say, since its answer has no body.
   *
   * @returns bytes of the object; null when there is none though its bucket is there
   */
  async sizeByGet(fullKey: string): Promise<number | null> {
    return await this.attempt(0, async ({ sdk, client }) => {
      try {
        const input = { Bucket: this.#config.bucket, Key: fullKey, Range: 'bytes=0-0' };
        const { ContentRange, ContentLength, Body } = await client.send(new sdk.GetObjectCommand(input));
        (Body as Readable | undefined)?.destroy();
        const total = Number(ContentRange?.split('/')[1]);
        return Number.isNaN(total) ? (ContentLength ?? null) : total;
      } catch (error) {
        const code = codeOf(error as Error);
        if (code === 'NoSuchKey') return null;
        if (code === 'InvalidRange') return 0;
        throw error;
      }
    });
  }

  /**
   * Signs a GET for whoever gets the URL; the store is asked nothing.
   *
   * @throws StoreFault when there are no credentials
   */
  async presign(fullKey: string, expiresIn: number): Promise<string> {
    try {
      const [{ sdk, client }, { getSignedUrl }] = await Promise.all([
        this.#open(),
        import('@aws-sdk/s3-request-presigner'),
      ]);
      const command = new sdk.GetObjectCommand({ Bucket: this.#config.bucket, Key: fullKey });
      // The two packages are released apart, and their types keep apart what is the same.
      return await getSignedUrl(client as never, command as never, { expiresIn });
    } catch (error) {
      throw s3FaultOf(error);
    }
  }

  /** Idle sockets are closed now, those in use when their request is done. */
  close(): void {
    for (const agent of this.#agents) {
      Object.assign(agent, { keepAlive: false });
      for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
    }
  }

  async #askWhy(fullKey: string): Promise<void> {
    try {
      await this.sizeByGet(fullKey);
    } catch (error) {
      if (error instanceof StoreFault && error.blame === 'account') throw error;
    }
  }

  #open(): Promise<{ sdk: S3Sdk; client: S3Client }> {
    this.#opened ??= this.#make().catch((error: unknown) => {
      this.#opened = null;
      throw error;
    });
    return this.#opened;
  }

  async #make(): Promise<{ sdk: S3Sdk; client: S3Client }> {
    // The SDK's word about the Node versions of its future releases is for those who build with it.
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
    const [sdk, { NodeHttpHandler }] = await Promise.all([
      import('@aws-sdk/client-s3'),
      import('@smithy/node-http-handler'),
    ]);
    const sockets = { keepAlive: true, maxSockets, scheduling: 'lifo' } as const;
    const [httpAgent, httpsAgent] = [new HttpAgent(sockets), new HttpsAgent(sockets)];
    this.#agents = [httpAgent, httpsAgent];
    const { endpoint, pathStyle, credentials } = this.#config;
    const client = new sdk.S3Client({
      region: this.#region,
      ...(endpoint === null ? {} : { endpoint }),
      forcePathStyle: pathStyle,
      ...(credentials === null ? {} : { credentials: identityOf(credentials) }),
      maxAttempts: 1,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // With it, the SDK opens a connection of its own for each body.
      expectContinueHeader: false,
      requestHandler: new NodeHttpHandler({
        httpAgent,
        httpsAgent,
        connectionTimeout: connectMs,
        socketTimeout: idleMs,
        // The uploader bounds what waits; a full pool is no event.
        logger: silent,
      }),
      logger: silent,
    });
    return { sdk, client };
  }
}

/** An error of ours under way through code that takes every error for the store's. */
class Local extends Error {
  override readonly cause: Error;

  constructor(cause: Error) {
    super(cause.message);
    this.cause = cause;
  }
}

const nothing = () => undefined;
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };

function identityOf({
  accessKeyId,
  secretAccessKey,
  sessionToken,
}: NonNullable<S3StoreConfig['credentials']>): {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
} {
  return { accessKeyId, secretAccessKey, ...(sessionToken === null ? {} : { sessionToken }) };
}

/** Lets the signature cover the body too, by the checksum that is known already. */
function signingBody<T extends Parameters<S3Client['send']>[0]>(command: T): T {
  const { ChecksumSHA256: checksum, Body: body } = command.input as {
    ChecksumSHA256?: string;
    Body?: unknown;
  };
  if (checksum === undefined || body === undefined) return command;
  const sha256 = Buffer.from(checksum, 'base64').toString('hex');
  command.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as { headers: Record<string, string> };
      request.headers['x-amz-content-sha256'] = sha256;
      return await next(args);
    },
    { step: 'build', name: 'signingBody' },
  );
  return command;
}
