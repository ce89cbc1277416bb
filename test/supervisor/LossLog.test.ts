import { pino } from 'pino';
import t from 'tap';
import { LossLog } from '../../src/supervisor/LossLog.js';

void t.test('a thousand losses are a few lines', (t) => {
  const lines: string[] = [];
  const log = new LossLog('recorder', pino({}, { write: (line: string) => void lines.push(line) }));
  for (let loss = 0; loss < 1000; loss++) {
    log.failed(new Error('again'));
    log.again({ exitCode: 1, backoffMs: 5000, cause: 'error' });
    if (loss === 2) log.trouble(true);
  }
  t.equal(lines.length, 21, 'ten in full, and that it is in trouble');
  for (const line of lines) t.match(JSON.parse(line), { worker: 'recorder', code: 'thread_lost' });
  log.trouble(false);
  log.failed(new Error('later'));
  t.equal(lines.length, 23, 'after it was well the next is told again');
  t.end();
});
