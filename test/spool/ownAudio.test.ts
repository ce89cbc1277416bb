import t from 'tap';
import { ownAudio, ownWav } from '../../src/spool/ownAudio.js';
import { fabricateRecording } from '../fixtures/recording.js';

await t.test(
  'a manifest may name its folder’s audio.wav, and its call’s object for the portal',
  async (t) => {
    const { manifest } = await fabricateRecording(t.testdir({}), {
      accountId: 'AC1',
      callId: 'CA1',
      recordingId: 'r1',
    });
    const own = ['AC1/20261120/CA1/r1/audio.wav', '2026/11/20/CA1.mp3', '2026/11/21/CA1-2.wav'];
    const foreign = [
      'AC2/20261120/CA1/r1/audio.wav',
      'AC1/20261120/CA1/r2/audio.wav',
      'AC1/20261120/CA1/r1/0-audio.wav',
      'AC1/20261120/CA1/r1/manifest.json',
      'AC1/20261120/CA1/r1/../r2/audio.wav',
      '/AC1/20261120/CA1/r1/audio.wav',
      'audio.wav',
      '2026/11/20/CA2.mp3',
      '2026/11/20/CA10.wav',
      '2026/11/20/CA1-x.wav',
      '2026/11/20/CA1.json',
      '2026/11/20/x/CA1.wav',
      '2026/11/CA1.wav',
      'x/2026/11/20/CA1.wav',
      '_reelay/AC1/holds/r1.json',
    ];
    const audio = [...foreign, ...own].map((key) => ({
      key,
      format: key.endsWith('.mp3') ? ('mp3' as const) : ('wav' as const),
      bytes: 1,
      sha256: '0'.repeat(64),
    }));
    t.same(
      ownAudio({ ...manifest, audio }).map(({ key }) => key),
      own,
    );
    t.equal(
      ownWav({ ...manifest, audio: audio.slice(-2) })?.key,
      '2026/11/21/CA1-2.wav',
      'the first may be an MP3',
    );
    t.same(ownAudio(manifest), []);
  },
);
