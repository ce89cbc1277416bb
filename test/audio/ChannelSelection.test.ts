import fc from 'fast-check';
import t from 'tap';
import { ChannelSelection } from '../../src/audio/ChannelSelection.js';

const refused = { name: 'ReelayError', code: 'request_invalid' };
const stereo = Int16Array.of(1, -10, 2, -20, 32_767, 1000, -32_768, -5);

await t.test('a channel, both, or both as one', (t) => {
  const of = (text: string | undefined) => [...ChannelSelection.read(text, 2).of(stereo)];
  t.same(of(undefined), [...stereo]);
  t.same(of('0'), [1, 2, 32_767, -32_768]);
  t.same(of('1'), [-10, -20, 1000, -5]);
  t.same(of('mix'), [-9, -18, 32_767, -32_768]);
  t.same(
    [undefined, '0', '1', 'mix'].map((text) => ChannelSelection.read(text, 2).channels),
    [2, 1, 1, 1],
  );
  t.same(
    [undefined, '0', '1', 'mix'].map((text) => ChannelSelection.read(text, 2).name),
    ['all', '0', '1', 'mix'],
  );
  t.end();
});

await t.test('a recording that is mixed already has its one channel', (t) => {
  for (const text of [undefined, '0', 'mix']) {
    const selection = ChannelSelection.read(text, 1);
    t.equal(selection.channels, 1);
    t.equal(selection.of(stereo), stereo, 'nothing is copied');
  }
  t.throws(() => ChannelSelection.read('1', 1), refused);
  t.end();
});

await t.test('what is no channel of the recording is refused', (t) => {
  for (const text of ['2', '-1', '', 'left', '0x0', '1.0', ' 1', 'Mix', 'all', '00000'])
    t.throws(() => ChannelSelection.read(text, 2), refused, text);
  t.match(ChannelSelection.read('001', 2), { channels: 1, name: '1' });
  t.end();
});

await t.test('any number of channels gives each of them, and their sum', (t) => {
  const audio = fc.integer({ min: 1, max: 5 }).chain((channels) =>
    fc.tuple(
      fc.constant(channels),
      fc.array(
        fc.array(fc.integer({ min: -6000, max: 6000 }), { minLength: channels, maxLength: channels }),
        {
          maxLength: 30,
        },
      ),
    ),
  );
  fc.assert(
    fc.property(audio, ([channels, frames]) => {
      const pcm = Int16Array.from(frames.flat());
      const mixed = ChannelSelection.read('mix', channels).of(pcm);
      t.same(
        [...mixed],
        frames.map((frame) => frame.reduce((sum, sample) => sum + sample, 0)),
      );
      for (let channel = 0; channel < channels; channel++)
        t.same(
          [...ChannelSelection.read(String(channel), channels).of(pcm)],
          frames.map((frame) => frame[channel]),
        );
      t.same([...pcm], frames.flat(), 'and changes nothing');
    }),
    { numRuns: 60 },
  );
  t.end();
});
