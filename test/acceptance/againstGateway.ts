import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Gateway } from './Gateway.js';

/*
 * Runs the suite of stores against the gateway that `REELAY_GATEWAY` names (see `.ci/gateway`):
 *
 *     REELAY_GATEWAY=$(.ci/gateway) npm run test:gateway
 *
 * Exit 1 when it fails.
 */
const binary = process.env['REELAY_GATEWAY'] ?? '';
if (binary === '') throw new Error('REELAY_GATEWAY must name the gateway that .ci/gateway builds.');

const gateway = await Gateway.open(binary);
try {
  const { endpoint, bucket, accessKeyId, secretAccessKey } = await gateway.account('suite');
  const suite = fileURLToPath(new URL('../storage/realStore.js', import.meta.url));
  const child = spawn(process.execPath, [suite], {
    stdio: 'inherit',
    env: {
      ...process.env,
      REELAY_S3_ENDPOINT: endpoint,
      REELAY_S3_BUCKET: bucket,
      REELAY_S3_ACCESS_KEY: accessKeyId,
      REELAY_S3_SECRET_KEY: secretAccessKey,
    },
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  process.exitCode = code === 0 ? 0 : 1;
} finally {
  await gateway.close();
}
