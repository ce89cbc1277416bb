import fc from 'fast-check';
import t from 'tap';
import { isLaneName, laneName, LaneNames, maxLaneName } from '../../src/tap/laneName.js';

void t.test('an identity that is file-safe is the name of its microphone', (t) => {
  t.equal(laneName('alice', 'microphone'), 'alice');
  t.equal(laneName('agent-7', 'microphone'), 'agent-7');
  t.equal(laneName('alice', 'screen_share_audio'), 'alice-screen-share-audio');
  t.end();
});

void t.test('whatever characters are lost, the hash tells two identities apart', (t) => {
  const [one, other] = [laneName('Alice', 'microphone'), laneName('ALICE', 'microphone')];
  t.match(one, /^alice-[0-9a-f]{4}$/);
  t.match(other, /^alice-[0-9a-f]{4}$/);
  t.not(one, other);
  t.match(laneName('', 'microphone'), /^[0-9a-f]{4}$/);
  t.match(laneName('音声', 'microphone'), /^[0-9a-f]{4}$/);
  t.match(laneName('../../etc/passwd', 'microphone'), /^etc-passwd-[0-9a-f]{4}$/);
  t.equal(laneName('x'.repeat(200), 'microphone').length, maxLaneName);
  t.end();
});

void t.test('no lane has a name that the layout uses', (t) => {
  for (const name of ['audio', 'whole', 'manifest', 'metadata', 'upload', 'portal', 'mix']) {
    t.notOk(isLaneName(name), name);
    t.match(laneName(name, 'microphone'), new RegExp(`^${name}-[0-9a-f]{4}$`));
  }
  t.end();
});

void t.test('a room’s table gives each track one name for as long as the room is up, and none twice', (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          identity: fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('a', 'A', 'a-', '-a', 'audio')),
          source: fc.constantFrom('microphone', 'screen_share_audio', 'unknown'),
        }),
        { maxLength: 60 },
      ),
      (tracks) => {
        const names = new LaneNames();
        const found = new Map<string, string>();
        for (const { identity, source } of [...tracks, ...tracks]) {
          const key = JSON.stringify([identity, source]);
          const name = names.of(identity, source);
          if (!isLaneName(name)) throw new Error(`${name} is no lane’s name`);
          if ((found.get(key) ?? name) !== name) throw new Error(`${key} has two names`);
          found.set(key, name);
        }
        if (new Set(found.values()).size !== found.size) throw new Error('one name for two tracks');
      },
    ),
    {
      numRuns: 300,
      examples: [
        [
          [
            { identity: 'a-b', source: 'microphone' },
            { identity: 'a', source: 'b' },
          ],
        ],
      ],
    },
  );
  t.pass('300 rooms');
  t.end();
});
