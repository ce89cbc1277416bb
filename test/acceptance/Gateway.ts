import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../fixtures/freePort.js';
import type { BucketAccess } from './Bucket.js';
import { eventually } from './eventually.js';
import type { StoreBackend } from './StoreBackend.js';

const run = promisify(execFile);
const root = { access: 'gateway-root', secret: 'gateway-root-secret' };

/**
 * A production S3 service: the Versity gateway over a folder, with its own users and their buckets. `.ci/gateway` builds it and
 * prints where it lies, which is then `REELAY_GATEWAY`.
 */
export class Gateway implements StoreBackend {
  readonly name = 'versitygw';
  readonly endpoint: string;
  readonly #binary: string;
  readonly #dir: string;
  readonly #child: ChildProcess;

  private constructor(binary: string, dir: string, port: number) {
    this.#binary = binary;
    this.#dir = dir;
    this.endpoint = `http://127.0.0.1:${port}`;
    const own = ['--port', `127.0.0.1:${port}`, '--access', root.access, '--secret', root.secret];
    const more = ['--iam-dir', join(dir, 'iam'), '--health', '/health', '--keep-alive', '--quiet'];
    this.#child = spawn(binary, [...own, ...more, 'posix', join(dir, 'buckets')], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    // Whatever ends a run, no gateway outlives it.
    process.once('exit', () => this.#child.kill('SIGKILL'));
  }

  static async open(binary: string): Promise<Gateway> {
    const dir = await mkdtemp(join(tmpdir(), 'reelay-gateway-'));
    for (const name of ['iam', 'buckets']) await mkdir(join(dir, name));
    const gateway = new Gateway(binary, dir, await freePort());
    await eventually('the gateway answers', async () => {
      if (gateway.#child.exitCode !== null)
        throw new Error(`the gateway ended with ${gateway.#child.exitCode}`);
      const answer = await fetch(`${gateway.endpoint}/health`).catch(() => undefined);
      await answer?.arrayBuffer();
      return answer?.ok;
    });
    return gateway;
  }

  async account(id: string): Promise<BucketAccess> {
    const access = { bucket: `bucket-${id}`, accessKeyId: `key-${id}`, secretAccessKey: `secret-of-${id}` };
    const { bucket, accessKeyId, secretAccessKey } = access;
    await this.#admin('create-user', '--access', accessKeyId, '--secret', secretAccessKey, '--role', 'user');
    await this.#admin('create-bucket', '--owner', accessKeyId, '--bucket', bucket);
    return { endpoint: this.endpoint, ...access };
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null) {
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await gone;
    }
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #admin(...command: readonly string[]): Promise<void> {
    const own = ['--access', root.access, '--secret', root.secret, '--endpoint-url', this.endpoint];
    await run(this.#binary, ['admin', ...own, ...command]);
  }
}
