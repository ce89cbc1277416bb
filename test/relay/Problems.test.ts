import { pino } from 'pino';
import t from 'tap';
import { Problems } from '../../src/relay/Problems.js';
import { Counters } from '../../src/tap/Counters.js';

interface Line {
  readonly code?: string;
  readonly value?: string;
}

function scene(): { readonly problems: Problems; readonly counters: Counters; readonly lines: Line[] } {
  const lines: Line[] = [];
  const log = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line) as Line) });
  const counters = new Counters();
  return { problems: new Problems(log, counters), counters, lines };
}

function failure(code: string | undefined, message: string): Error & { readonly code?: string } {
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}

await t.test('a broken protocol is a problem of the stream, and a broken network isn’t', (t) => {
  const { problems, counters, lines } = scene();
  problems.violated(failure('ECONNRESET', 'read ECONNRESET'));
  problems.violated(failure(undefined, 'gone'));
  t.equal(problems.totals(), undefined);
  problems.violated(failure('WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'Max payload size exceeded'));
  problems.violated(failure('WS_ERR_INVALID_OPCODE', 'invalid opcode 3'));
  problems.violated(failure('WS_ERR_EXPECTED_MASK', 'MASK must be set'));
  t.same(
    lines.map(({ code, value }) => [code, value]),
    [
      ['payload_oversized', 'Max payload size exceeded'],
      ['websocket_violation', 'invalid opcode 3'],
    ],
    'each code is logged once',
  );
  t.same(problems.totals(), { payload_oversized: 1, websocket_violation: 2 });
  t.equal(counters.get('invalidMessages'), 3);
  t.end();
});

await t.test('who knows how long a message may be says so', (t) => {
  const { problems, lines } = scene();
  problems.violated(failure('WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'too long'), 'more than 9 bytes');
  problems.violated(failure('WS_ERR_INVALID_OPCODE', 'invalid opcode 3'), 'more than 9 bytes');
  t.same(
    lines.map(({ value }) => value),
    ['more than 9 bytes', 'invalid opcode 3'],
  );
  t.end();
});
