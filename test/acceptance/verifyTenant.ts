import { verdictOn } from '../../src/cli/verify.js';
import { RecordingFolder } from '../../src/spool/RecordingFolder.js';
import { ObjectRoot } from '../../src/spool/RecordingRoot.js';
import { clockOf } from '../../src/storage/Clock.js';
import { S3Store } from '../../src/storage/S3Store.js';
import type { Tenant } from './StoreRun.js';

/** What `reelay verify` finds in an account's bucket; nothing, if every recording is whole. */
export async function verifyTenant({ id, access, prefix }: Tenant): Promise<string[]> {
  const { endpoint, bucket, accessKeyId, secretAccessKey } = access;
  const store = new S3Store(
    {
      type: 's3',
      bucket,
      endpoint,
      region: 'us-east-1',
      prefix: prefix.replace(/\/$/, ''),
      pathStyle: true,
      credentials: { accessKeyId, secretAccessKey, sessionToken: null },
      storageClass: null,
      encryption: null,
      tags: {},
    },
    clockOf(),
  );
  const problems: string[] = [];
  try {
    for (const files of await new ObjectRoot(store, `s3://${bucket}`).recordings()) {
      const { findings, recordingId } = await verdictOn(new RecordingFolder([files]));
      for (const { code, where, detail } of findings)
        problems.push(`${id}: verify ${recordingId}: ${code} ${where} ${detail}`);
    }
  } finally {
    store.close();
  }
  return problems;
}
