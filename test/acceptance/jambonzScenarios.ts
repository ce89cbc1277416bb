import { whenHeard } from './BotSpeech.js';
import type { Scenario } from './Scenario.js';

/** What a jambonz call may bring: every rate, mix type and way back, and everything that can go wrong, spread over calls. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'steady talk, mono 8 kHz streaming',
    provider: 'jambonz',
    seconds: 6,
    bot: (call, speech) => speech.echo(call),
  },
  {
    name: 'steady talk, stereo 24 kHz streaming',
    provider: 'jambonz',
    seconds: 6,
    sampleRate: 24_000,
    mixType: 'stereo',
    bot: (call, speech) => speech.echo(call),
  },
  {
    name: '10 s sent in one message, mono 16 kHz streaming',
    provider: 'jambonz',
    seconds: 11,
    cuts: 0,
    sampleRate: 16_000,
    bot: (call, speech) => whenHeard(call, 300, () => speech.say(call, 10_000, Infinity)),
  },
  {
    name: '500 frames at once, then a clear, mono 48 kHz streaming',
    provider: 'jambonz',
    seconds: 4,
    sampleRate: 48_000,
    bot: (call, speech) => {
      whenHeard(call, 500, () => speech.say(call, 10_000, 20));
      whenHeard(call, 2000, () => call.clear());
    },
  },
  {
    name: 'clear and new audio at once, mixed 16 kHz streaming',
    provider: 'jambonz',
    seconds: 5,
    sampleRate: 16_000,
    mixType: 'mixed',
    cuts: 3,
    bot: (call, speech) => {
      whenHeard(call, 300, () => speech.say(call, 5000, 100));
      for (const atMs of [1000, 2500]) {
        whenHeard(call, atMs, () => {
          call.clear();
          speech.say(call, 4000, 100);
        });
      }
    },
  },
  {
    name: 'repeated mark names, mono 8 kHz streaming',
    provider: 'jambonz',
    seconds: 6,
    cuts: 2,
    bot: (call, speech) => {
      for (const atMs of [200, 500, 1200, 2000, 3000, 4500]) {
        whenHeard(call, atMs, () => {
          if (atMs === 3000) call.clear();
          speech.say(call, 600);
          call.mark('again');
          speech.say(call, 200);
          call.mark('again');
        });
      }
    },
  },
  {
    name: '3 s of missing frames, mono 8 kHz streaming',
    provider: 'jambonz',
    seconds: 8,
    drops: [{ fromMs: 2000, toMs: 5000 }],
    bot: (call, speech) => speech.echo(call),
  },
  {
    name: 'a stall of 1.2 s, stereo 48 kHz streaming',
    provider: 'jambonz',
    seconds: 6,
    sampleRate: 48_000,
    mixType: 'stereo',
    stalls: [{ atMs: 2000, forMs: 1200 }],
    bot: (call, speech) => whenHeard(call, 500, () => speech.say(call, 3000, 100)),
  },
  {
    name: 'hang-up with 5 s queued, mono 24 kHz streaming',
    provider: 'jambonz',
    seconds: 3,
    sampleRate: 24_000,
    bot: (call, speech) => whenHeard(call, 1000, () => speech.say(call, 7000, 200)),
  },
  {
    name: 'a stream restart, stereo 16 kHz streaming',
    provider: 'jambonz',
    seconds: 6,
    cuts: 2,
    sampleRate: 16_000,
    mixType: 'stereo',
    restarts: [{ atMs: 2500, afterMs: 600 }],
    bot: (call, speech) => speech.echo(call),
  },
  {
    name: 'audio at 8 kHz back to a stream of 16 kHz',
    provider: 'jambonz',
    seconds: 5,
    sampleRate: 16_000,
    returnSampleRate: 8000,
    bot: (call, speech) => whenHeard(call, 500, () => speech.say(call, 10_000, 100)),
  },
  {
    name: 'clips, mono 16 kHz playAudio',
    provider: 'jambonz',
    seconds: 5,
    sampleRate: 16_000,
    returns: 'playAudio',
    cuts: 2,
    bot: (call, speech) => {
      whenHeard(call, 300, () => {
        for (const id of ['one', 'two', 'three']) speech.clip(call, 700, id, true);
      });
      whenHeard(call, 1500, () => speech.clip(call, 400, 'now', false));
      whenHeard(call, 2500, () => speech.clip(call, 4000, 'long', true));
      whenHeard(call, 3500, () => call.clear());
    },
  },
  {
    name: 'clips of another rate, mono 24 kHz playAudio',
    provider: 'jambonz',
    seconds: 4,
    sampleRate: 24_000,
    returns: 'playAudio',
    returnSampleRate: 8000,
    cuts: 0,
    bot: (call, speech) => whenHeard(call, 300, () => speech.clip(call, 1500, 'other', true)),
  },
  ...(['stereo', 'mixed'] as const).map((mixType, index): Scenario => ({
    name: `clips, ${mixType} ${index === 0 ? 8 : 48} kHz playAudio`,
    provider: 'jambonz',
    seconds: 4,
    sampleRate: index === 0 ? 8000 : 48_000,
    mixType,
    returns: 'playAudio',
    bot: (call, speech) => {
      whenHeard(call, 300, () => speech.clip(call, 1500, 'one', true));
      whenHeard(call, 1000, () => speech.clip(call, 1500, 'two', true));
      whenHeard(call, 2500, () => speech.clip(call, 500, 'now', false));
    },
  })),
  ...(['mono', 'stereo', 'mixed'] as const).map((mixType, index): Scenario => ({
    name: `a bot that only listens, ${mixType} ${[48, 24, 8][index] ?? 8} kHz`,
    provider: 'jambonz',
    seconds: 3,
    sampleRate: [48_000, 24_000, 8000][index] ?? 8000,
    mixType,
    returns: 'none',
  })),
];
