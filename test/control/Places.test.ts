import t from 'tap';
import { Places } from '../../src/control/events/Places.js';

function delivery(event: number, endpoint: string, accountId = endpoint) {
  return { eventId: `e${event}`, endpoint, accountId };
}

function taken(places: Places, endpoint: string, accountId?: string): number {
  return Array.from({ length: 100 }, (_, event) => places.take(delivery(event, endpoint, accountId))).filter(
    Boolean,
  ).length;
}

void t.test('nobody has so many places that others have none', (t) => {
  const places = new Places();
  t.notOk(places.take(delivery(0, 'a')) && places.take(delivery(0, 'a')), 'each is under way once');
  t.equal(taken(places, 'a'), 3, 'four at one endpoint');
  t.same(places.busy, { endpoints: ['a'], accounts: [] });
  t.equal(
    taken(places, 'b1', 'b') + taken(places, 'b2', 'b') + taken(places, 'b3', 'b'),
    8,
    'of one account',
  );
  t.same(places.busy.accounts, ['b']);
  places.leave(delivery(0, 'a'));
  t.same(places.busy.endpoints.includes('a'), false);
  t.ok(places.take(delivery(0, 'a')));
  t.end();
});

void t.test('an endpoint that fails has one place until it takes something', (t) => {
  const places = new Places();
  places.answered('a', false);
  t.equal(taken(places, 'a'), 1);
  places.answered('a', true);
  t.equal(taken(places, 'a'), 3);
  t.end();
});

void t.test('there is an end of places', (t) => {
  const places = new Places();
  const all = Array.from({ length: 50 }, (_, at) => taken(places, `endpoint ${at}`));
  t.equal(
    all.reduce((sum, each) => sum + each, 0),
    64,
  );
  t.equal(places.size, 64);
  t.end();
});
