import t from 'tap';
import { Hearing } from '../../src/rooms/Hearing.js';

function hearing(most: number) {
  const heard: string[] = [];
  const made = new Hearing(most);
  return { heard, made, want: (sid: string) => made.want(sid, () => heard.push(sid)) };
}

void t.test('tracks are heard in the order in which they came, as many as there may be', (t) => {
  const { heard, made, want } = hearing(2);
  t.same(['a', 'b', 'c', 'd'].map(want), [true, true, false, false]);
  t.same(heard, ['a', 'b']);
  t.ok(want('a') && want('c'), 'each is told of once');
  t.same(heard, ['a', 'b']);
  made.gone('a');
  t.same(heard, ['a', 'b', 'c'], 'who waits longest has the place');
  made.gone('b');
  t.same(heard, ['a', 'b', 'c', 'd']);
  made.gone('c');
  t.ok(want('e'));
  t.same(heard, ['a', 'b', 'c', 'd', 'e']);
  t.end();
});

void t.test('one that goes while it waits is not heard, and takes no place with it', (t) => {
  const { heard, made, want } = hearing(1);
  want('a');
  want('b');
  want('c');
  made.gone('b');
  made.gone('nobody');
  made.gone('a');
  t.same(heard, ['a', 'c']);
  t.end();
});

void t.test('a room that is joined anew begins anew', (t) => {
  const { heard, made, want } = hearing(1);
  want('a');
  want('b');
  made.clear();
  t.ok(want('c'));
  t.same(heard, ['a', 'c']);
  t.end();
});
