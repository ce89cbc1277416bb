import { whenHeard } from './BotSpeech.js';
import type { Scenario } from './Scenario.js';

/** What a Twilio call may bring, all of it at once through one daemon. */
export const scenarios: readonly Scenario[] = [
  { name: 'steady talk', provider: 'twilio', seconds: 6, bot: (call, speech) => speech.echo(call) },
  {
    name: '10 s sent in one message',
    provider: 'twilio',
    seconds: 11,
    cuts: 0,
    bot: (call, speech) => whenHeard(call, 300, () => speech.say(call, 10_000, Infinity)),
  },
  {
    name: '500 frames at once, then a clear after 1.5 s',
    provider: 'twilio',
    seconds: 4,
    bot: (call, speech) => {
      whenHeard(call, 500, () => speech.say(call, 10_000, 20));
      whenHeard(call, 2000, () => call.clear());
    },
  },
  {
    name: 'clear and new audio at once',
    provider: 'twilio',
    seconds: 5,
    cuts: 3,
    bot: (call, speech) => {
      whenHeard(call, 300, () => speech.say(call, 5000, 100));
      for (const atMs of [1010, 2500]) {
        whenHeard(call, atMs, () => {
          call.clear();
          speech.say(call, 4000, 60);
        });
      }
    },
  },
  {
    name: 'repeated mark names',
    provider: 'twilio',
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
    name: '3 s of missing frames',
    provider: 'twilio',
    seconds: 7,
    drops: [{ fromMs: 2000, toMs: 5000 }],
    bot: (call, speech) => speech.echo(call),
  },
  {
    name: 'a stall of 1.2 s',
    provider: 'twilio',
    seconds: 6,
    stalls: [{ atMs: 2000, forMs: 1200 }],
    bot: (call, speech) => speech.echo(call),
  },
  {
    name: 'hang-up with 5 s queued',
    provider: 'twilio',
    seconds: 3,
    bot: (call, speech) => whenHeard(call, 1000, () => speech.say(call, 7000, 200)),
  },
  {
    name: 'a stream restart',
    provider: 'twilio',
    seconds: 6,
    cuts: 2,
    restarts: [{ atMs: 2500, afterMs: 600 }],
    bot: (call, speech) => speech.echo(call),
  },
];
