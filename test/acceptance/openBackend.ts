import { Gateway } from './Gateway.js';
import type { StoreBackend } from './StoreBackend.js';
import { TestServer } from './TestServer.js';

/** The gateway that `REELAY_GATEWAY` names (see `.ci/gateway`), else the tests' own S3 server. */
export async function openBackend(): Promise<StoreBackend> {
  const binary = process.env['REELAY_GATEWAY'];
  return binary === undefined || binary === '' ? await TestServer.open() : await Gateway.open(binary);
}
