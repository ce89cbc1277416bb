import t from 'tap';
import { PhoneVoice } from '../../src/bridge/PhoneVoice.js';
import { silence, tone } from './fixtures/bridgedCall.js';
import { VirtualClock } from './fixtures/VirtualClock.js';

const rate = 8000;

class Phone {
  readonly said: Int16Array[] = [];
  clears = 0;
  takes = true;
  say(samples: Int16Array): boolean {
    if (this.takes) this.said.push(samples);
    return this.takes;
  }
  clear(): void {
    this.clears++;
  }
}

function talking(): { readonly phone: Phone; readonly clock: VirtualClock; readonly voice: PhoneVoice } {
  const [phone, clock] = [new Phone(), new VirtualClock()];
  return { phone, clock, voice: new PhoneVoice(phone, rate, clock) };
}

await t.test('what comes in time is sent as it comes, silence too', (t) => {
  const { phone, clock, voice } = talking();
  for (let i = 0; i < 500; i++) {
    voice.hear(i % 100 < 50 ? tone(20, rate) : silence(20, rate));
    clock.step(20);
  }
  t.equal(phone.said.length, 500);
  t.equal(phone.clears, 0);
  t.equal(voice.droppedMs, 0);
  t.end();
});

await t.test('what came late and at once is made up for in the next silence', (t) => {
  const { phone, clock, voice } = talking();
  for (let i = 0; i < 15; i++) voice.hear(tone(20, rate));
  t.equal(phone.said.length, 15, 'no word of it is lost');
  for (let i = 0; i < 100; i++) {
    clock.step(20);
    voice.hear(silence(20, rate));
  }
  t.equal(voice.droppedMs, 240, 'of 300 ms all but what may wait');
  t.equal(phone.said.length, 15 + 100 - 12);
  t.end();
});

await t.test('speech that would come far too late is left out', (t) => {
  const { phone, clock, voice } = talking();
  for (let i = 0; i < 100; i++) voice.hear(tone(20, rate));
  t.equal(phone.said.length, 21, 'more than 400 ms never wait');
  t.equal(voice.droppedMs, 79 * 20);
  clock.step(1000);
  voice.hear(tone(20, rate));
  t.equal(phone.said.length, 22, 'and then it goes on');
  t.end();
});

await t.test('an agent that is interrupted is cut at once, with what is on its way', (t) => {
  const { phone, clock, voice } = talking();
  voice.hear(tone(20, rate));
  voice.interrupted();
  t.equal(phone.clears, 1);
  for (let i = 0; i < 5; i++) {
    clock.step(20);
    voice.hear(tone(20, rate));
  }
  t.equal(phone.said.length, 1, 'the jitter buffer’s rest of the sentence is not played');
  voice.hear(silence(20, rate));
  clock.step(20);
  voice.hear(tone(20, rate));
  t.equal(phone.said.length, 3, 'what is said behind a silence is something else');
  t.equal(voice.droppedMs, 0, 'and nothing of it came too late');
  t.end();
});

await t.test('an agent without pauses is heard again soon', (t) => {
  const { phone, clock, voice } = talking();
  voice.interrupted();
  for (let i = 0; i < 25; i++) {
    voice.hear(tone(20, rate));
    clock.step(20);
  }
  t.equal(phone.said.length, 12, '250 ms are cut');
  t.end();
});

await t.test('when nobody is heard any more, only more than a little is cut', (t) => {
  const { phone, clock, voice } = talking();
  voice.hear(tone(20, rate));
  voice.hushed();
  t.equal(phone.clears, 0, 'the end of a word is not');
  for (let i = 0; i < 10; i++) voice.hear(tone(20, rate));
  voice.hushed();
  t.equal(phone.clears, 1);
  clock.step(20);
  for (let i = 0; i < 3; i++) voice.hear(silence(20, rate));
  t.equal(phone.said.length, 14, 'nothing waits there any more');
  t.end();
});

await t.test('keys that somebody in the room presses without end are played for two seconds', (t) => {
  const { phone, clock, voice } = talking();
  for (let i = 0; i < 1000; i++) voice.tone(tone(160, rate));
  t.equal(phone.said.length, 13, 'thirteen of 160 ms');
  t.equal(voice.droppedMs, 987 * 160, 'the others are counted');
  clock.step(160);
  voice.tone(tone(160, rate));
  t.equal(phone.said.length, 14, 'and then it goes on');
  clock.step(3000);
  voice.hear(tone(20, rate));
  t.equal(phone.said.length, 15, 'what is said is heard when they are over');
  t.end();
});

await t.test('a phone that takes nothing has nothing waiting', (t) => {
  const { phone, voice } = talking();
  phone.takes = false;
  for (let i = 0; i < 50; i++) voice.hear(tone(20, rate));
  t.equal(voice.droppedMs, 1000);
  phone.takes = true;
  voice.hear(tone(20, rate));
  t.equal(phone.said.length, 1);
  t.end();
});
