import t from 'tap';
import { BridgeProcess } from '../../src/bridge/BridgeProcess.js';

await t.test('a bridge process knows nothing of the daemon’s secrets', async (t) => {
  process.env['LIVEKIT_SECRET_OF_AN_ACCOUNT'] = 'a secret';
  t.teardown(() => delete process.env['LIVEKIT_SECRET_OF_AN_ACCOUNT']);
  const environment = await new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
    const own = new BridgeProcess(
      {
        ready: () => undefined,
        failed: (_reason, message) => reject(new Error(message)),
        over: () => undefined,
        log: ({ facts }) => resolve(facts),
        output: () => undefined,
        ended: (how) => reject(new Error(how)),
      },
      new URL('./fixtures/tellsEnvironment.js', import.meta.url),
      performance.now(),
    );
    t.teardown(() => own.kill());
  });
  t.equal(environment['PATH'], process.env['PATH']);
  t.equal(environment['NODE_ENV'], 'production');
  t.notOk('LIVEKIT_SECRET_OF_AN_ACCOUNT' in environment);
});
