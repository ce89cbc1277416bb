import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { noTraces } from '../../src/control/monitoring/Tracing.js';
import { UploadWatch, type UploadListeners } from '../../src/control/uploads/UploadWatch.js';
import { StoreFault } from '../../src/storage/StoreFault.js';

await t.test(
  'every trouble is told with a code, and says whether it is the spool’s or the store’s',
  async (t) => {
    const lines: Record<string, unknown>[] = [];
    const log = pino({}, { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
    const counter = { inc: () => undefined };
    const library = { spooled: () => ({ provider: 'twilio' }) };
    const metrics = { uploadRetries: counter, uploadFailures: counter };
    const watch = new UploadWatch({ log, metrics, library, traces: noTraces } as unknown as UploadListeners);
    const ofSpool = (await readFile(join(t.testdir({}), 'none')).catch((error: unknown) => error)) as Error;
    const ofStore = new StoreFault('store_refused', { value: '400' });
    const folder = 'a/b/c/d';
    for (const error of [ofSpool, ofStore]) watch.stuck({ folder, error });
    const attempt = { folder, name: null, delayMs: 1, blame: 'transient' } as const;
    watch.retrying({ ...attempt, error: ofSpool, code: null });
    watch.retrying({ ...attempt, error: new Error('?'), code: null });
    t.strictSame(
      lines.map(({ code }) => code),
      ['spool_unwritable', 'store_refused', 'spool_unwritable', 'store_unavailable'],
    );
    const ids = { accountId: 'a', callId: 'c', recordingId: 'd', provider: 'twilio' };
    for (const line of lines) t.match(line, ids, 'and whose recording it is');
  },
);
