import t from 'tap';
import { twilioBotClear, twilioBotMark, twilioBotMedia } from '../../src/providers/twilio/messages.js';
import { inspectTwilio } from '../../src/simulators/TwilioInspector.js';

const streamSid = 'MZ1';

function judge(text: string): unknown {
  const command = inspectTwilio(Buffer.from(text), false, streamSid);
  return command.kind === 'violation' ? command.code : command.kind;
}

await t.test('what Twilio documents is accepted', (t) => {
  t.equal(judge(twilioBotMedia(streamSid, Buffer.from([1, 2, 3]))), 'media');
  t.equal(judge(twilioBotMark(streamSid, 'a')), 'mark');
  t.equal(judge(twilioBotClear(streamSid)), 'clear');
  t.end();
});

const faulty: Record<string, string> = {
  'text that is not JSON': 'hello',
  'an array': '[]',
  'an unknown event': '{"event":"stop","streamSid":"MZ1"}',
  'an event named like an object property': '{"event":"constructor","streamSid":"MZ1"}',
  'another stream': twilioBotClear('MZ2'),
  'no stream': '{"event":"clear"}',
  'a private field': '{"event":"clear","streamSid":"MZ1","x":1}',
  'a chunk in media': '{"event":"media","streamSid":"MZ1","media":{"payload":"/w==","chunk":"1"}}',
  'media without payload': '{"event":"media","streamSid":"MZ1","media":{}}',
  'a payload that is empty': '{"event":"media","streamSid":"MZ1","media":{"payload":""}}',
  'a payload that is not base64': '{"event":"media","streamSid":"MZ1","media":{"payload":"%%%%"}}',
  'a mark without a name': '{"event":"mark","streamSid":"MZ1","mark":{}}',
  'a mark that is text': '{"event":"mark","streamSid":"MZ1","mark":"a"}',
};

for (const [what, text] of Object.entries(faulty)) {
  await t.test(`${what} is 31951`, (t) => {
    t.equal(judge(text), '31951');
    t.end();
  });
}

await t.test('a binary frame is 31950', (t) => {
  const command = inspectTwilio(Buffer.from(twilioBotClear(streamSid)), true, streamSid);
  t.match(command, { kind: 'violation', code: '31950' });
  t.end();
});
