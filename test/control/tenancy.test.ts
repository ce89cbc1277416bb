import { randomUUID } from 'node:crypto';
import t from 'tap';
import { cursorOf } from '../../src/catalogue/Place.js';
import { ReelayError } from '../../src/config/ReelayError.js';
import { ShareLinks } from '../../src/control/api/ShareLinks.js';
import { auditOf } from '../../src/control/library/auditOf.js';
import { FileStore } from '../../src/storage/FileStore.js';
import {
  ask,
  bearer,
  cookieOf,
  everythingIn,
  filled,
  forms,
  type Headers,
  isAboutCall,
  isAboutRecording,
  isAboutRoom,
  linkKey,
  problemsOf,
  questionsAt,
  worldsOf,
} from './fixtures/worldsOf.js';

/* Whatever somebody asks of another account's recordings: see {@link worldsOf}. */

await t.test('nobody learns of another account’s recordings, and nothing is done to them', async (t) => {
  const worlds = await worldsOf(t);
  const { full, own, foreign, foreignEvent, ownEvent, foreignCalls } = worlds;
  const before = await everythingIn(full, foreign);
  const ownCookie = cookieOf('one');
  const origin = 'http://reelay.test';
  const keys: Record<string, Headers> = {
    ...Object.fromEntries(['one', 'reader', 'driver', 'eraser', 'any'].map((key) => [key, bearer(key)])),
    cookie: { cookie: ownCookie, origin },
  };

  await t.test('by the id of a recording, on any route, with any key', async (t) => {
    for (const [name, headers] of Object.entries(keys)) {
      const questions = [...foreign.values()].flatMap((id) =>
        questionsAt(worlds, { id, file: '0.wav', eventId: foreignEvent }, headers, isAboutRecording),
      );
      t.ok(questions.length > 200, 'routes are asked');
      t.same(await problemsOf(worlds, questions, [404]), [], name);
    }
  });

  await t.test('by any way to write it', async (t) => {
    for (const [name, form] of Object.entries(forms)) {
      const questions = ['stored', 'live']
        .map((kind) => form(foreign.get(kind) ?? ''))
        .flatMap((id) =>
          questionsAt(
            worlds,
            { id, file: '0.wav', eventId: form(foreignEvent) },
            bearer('one'),
            isAboutRecording,
          ),
        );
      t.same(await problemsOf(worlds, questions, [404]), [], name);
    }
  });

  await t.test('through an own recording', async (t) => {
    const { recordingId: id } = own.stored.manifest;
    const files = [...foreign.values()].flatMap((other) => [
      `..%2f..%2f${other}%2f0.wav`,
      `../../${other}/audio.wav`,
      `0.wav%00`,
      `00.wav`,
      `0.WAV`,
      `0.wav%2f..%2f..%2f${other}%2f0.wav`,
    ]);
    const sneaky = files.map((file) => ({
      method: 'GET',
      path: `/v1/recordings/${id}/chunks/${file}`,
      headers: bearer('one'),
    }));
    const events = [foreignEvent, foreignEvent.toUpperCase(), `..%2f${foreignEvent}`, `${ownEvent}%00`];
    const replays = events.map((eventId) => ({
      method: 'POST',
      path: `/v1/recordings/${id}/events/${eventId}/replay`,
      headers: bearer('one'),
    }));
    t.same(await problemsOf(worlds, [...sneaky, ...replays], [404]), []);
  });

  await t.test('by a call', async (t) => {
    for (const [name, headers] of Object.entries(keys)) {
      const questions = foreignCalls
        .flatMap((callId) => Object.values(forms).map((form) => form(callId)))
        .flatMap((callId) => questionsAt(worlds, { callId }, headers, isAboutCall));
      t.ok(questions.length > 100, 'routes are asked');
      t.same(await problemsOf(worlds, questions, [404, 400]), [], name);
    }
    t.same(full.asked, []);
  });

  await t.test('by a room', async (t) => {
    for (const [name, headers] of Object.entries(keys)) {
      const questions = ['theirs', ...foreign.values()]
        .flatMap((room) => Object.values(forms).map((form) => form(room)))
        .flatMap((room) => questionsAt(worlds, { name: room }, headers, isAboutRoom));
      t.ok(questions.length > 100, 'routes are asked');
      // Who names no account means the own one, where some keys may not do it.
      t.same(await problemsOf(worlds, questions, [404, 400, 403]), [], name);
    }
  });

  await t.test('by lists, filters, searches and cursors', async (t) => {
    const cursors = [...foreign.values()].flatMap((recordingId) =>
      [0, Date.UTC(2026, 10, 20, 12), 2 ** 52].map((startMs) => cursorOf({ startMs, recordingId })),
    );
    const given = (await (await full.ask('GET', '/v1/recordings?limit=1', 'two')).json()) as { next: string };
    const queries = [
      '',
      'limit=1',
      'limit=1000',
      ...[given.next, ...cursors].flatMap((cursor) => [`cursor=${cursor}`, `cursor=${cursor}&limit=1`]),
      ...foreignCalls.map((callId) => `callId=${callId}`),
      `callId=${own.stored.manifest.callId}`,
      ...[...foreign.values(), 'CA', '+1555', '002', '%25', '_', '\\', 'AC2'].map((text) => `search=${text}`),
      ...['failed', 'recording', 'uploading', 'complete'].map((state) => `state=${state}`),
    ];
    for (const key of ['one', 'reader', 'any']) {
      const lists = queries.map((query) => ({
        method: 'GET',
        path: `/v1/recordings?${query}`,
        headers: bearer(key),
      }));
      t.same(await problemsOf(worlds, lists, [200]), [], key);
    }
    const strange = ['ac2', 'AC2%00', 'AC2%20', '*', '%25', "AC1'%20or%20'1'='1", '../AC2'];
    const ofAccount = (key: string, ids: readonly string[]) =>
      ids.map((id) => ({ method: 'GET', path: `/v1/recordings?account=${id}`, headers: bearer(key) }));
    for (const key of ['one', 'reader'])
      t.same(await problemsOf(worlds, ofAccount(key, ['AC2', 'AC9', ...strange]), [404]), [], key);
    t.same(await problemsOf(worlds, ofAccount('any', ['AC1', 'AC2']), [404]), []);
    // Whoever has no entry is theirs, and hasn't recorded anything.
    t.same(await problemsOf(worlds, ofAccount('any', strange), [200]), []);
    const odd = [
      'cursor=',
      'cursor=x',
      `cursor=${given.next}x`,
      'cursor=W10',
      'account=AC1&account=AC2',
      'limit=0',
    ];
    const refused = odd.map((query) => ({
      method: 'GET',
      path: `/v1/recordings?${query}`,
      headers: bearer('one'),
    }));
    t.same(await problemsOf(worlds, refused, [400, 200]), []);
    const calls = ['one', 'reader', 'any'].map((key) => ({
      method: 'GET',
      path: '/v1/calls',
      headers: bearer(key),
    }));
    t.same(await problemsOf(worlds, calls, [200]), []);
    const mine = await full.ask('GET', '/v1/recordings', 'one');
    t.equal(
      ((await mine.json()) as { recordings: unknown[] }).recordings.length,
      2,
      'the own ones are there',
    );
  });

  await t.test('by who did what', async (t) => {
    const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
    const names = ['AC2', 'AC2%00', 'ac2', 'AC2/', '../AC2', 'AC1/../AC2', '*', '..%5cAC2', ''];
    const questions = names.flatMap((account) =>
      ['one', 'reader', 'driver'].map((key) => ({
        method: 'GET',
        path: `/v1/audit?account=${account}&day=${day}&recordingId=${foreign.get('stored') ?? ''}`,
        headers: bearer(key),
      })),
    );
    t.same(await problemsOf(worlds, questions, [404, 400]), []);
    const anybodys = ['AC2', '../AC2', 'AC9/../AC2', 'AC2%00', '.', '/'].map((account) => ({
      method: 'GET',
      path: `/v1/audit?account=${account}&day=${day}`,
      headers: bearer('any'),
    }));
    t.same(await problemsOf(worlds, anybodys, [404]), []);
  });

  await t.test('by methods that a route doesn’t have', async (t) => {
    const methods = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'POST', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND'];
    const [id = '', begun = ''] = [foreign.get('stored'), foreign.get('begun')];
    const questions = [id, begun].flatMap((each) =>
      full.routes
        .filter(({ url }) => isAboutRecording(url))
        .flatMap(({ url }) =>
          methods.map((method) => ({
            method,
            path: filled(url, { id: each, file: '0.wav', eventId: foreignEvent }),
            headers: { ...bearer('one'), 'x-http-method-override': 'GET' },
          })),
        ),
    );
    t.same(await problemsOf(worlds, questions, [404]), []);
  });

  await t.test('by links', async (t) => {
    const links = new ShareLinks(() => linkKey);
    const soon = Date.now() + 60_000;
    const { recordingId } = own.stored.manifest;
    const ids = [...foreign.values()];
    const bad = [
      ...ids.map((id) => links.make({ recordingId: id, accountId: 'AC1' }, soon)),
      ...ids.map((id) => links.make({ recordingId: id, accountId: 'AC2' }, Date.now() - 1)),
      ...ids.map((id) =>
        new ShareLinks(() => Buffer.alloc(32, 'guess')).make({ recordingId: id, accountId: 'AC2' }, soon),
      ),
      ...ids.map((id) => tampered(links.make({ recordingId, accountId: 'AC1' }, soon), recordingId, id)),
      ...ids.map((id) => `/shared/${id}/audio.wav`),
      ...ids.map((id) => `/shared/..%2f..%2fv1%2frecordings%2f${id}/audio.wav`),
    ];
    const names = ['audio.wav', 'waveform.json', 'waveform.dat', 'segments.json'];
    const tried = bad.flatMap((path) =>
      names.flatMap((name) =>
        ['GET', 'HEAD', 'DELETE', 'POST'].map((method) => ({
          method,
          path: path.replace('audio.wav', name),
        })),
      ),
    );
    t.same(await problemsOf(worlds, tried, [404]), []);
    const good = links.make({ recordingId, accountId: 'AC1' }, soon);
    t.equal((await ask(full, { method: 'GET', path: good })).status, 200, 'a good one opens what it is of');
    const id = ids[0] ?? '';
    const elsewhere = [
      'manifest.json',
      '',
      'hold',
      'events',
      'chunks/0.wav',
      `../${id}/audio.wav`,
      `audio.wav/../../${id}/audio.wav`,
      `..%2f${id}%2faudio.wav`,
      'AUDIO.WAV',
      'audio.wav/',
    ].flatMap((rest) =>
      ['GET', 'DELETE', 'POST', 'PUT'].map((method) => ({ method, path: good.replace('audio.wav', rest) })),
    );
    const others = ['POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS'].map((method) => ({ method, path: good }));
    t.same(await problemsOf(worlds, [...elsewhere, ...others], [404]), [], 'a good one opens nothing else');
    const token = good.split('/')[2] ?? '';
    const asKey = [bearer(token), { cookie: `reelay_session=${token}` }].flatMap((headers) =>
      questionsAt(worlds, { id: recordingId, file: '0.wav', eventId: ownEvent }, headers, isAboutRecording),
    );
    t.same(await problemsOf(worlds, asKey, [401]), [], 'it is no key');
  });

  t.same(await everythingIn(full, foreign), before, 'nothing has changed');
  t.same(full.asked, []);
  t.same(full.replayed, []);
  const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
  await full.audit.store();
  const noted = await auditOf(new FileStore(full.kept), { accountId: 'AC2', day });
  t.same([...new Set(noted.entries.map(({ who }) => who))], ['their own'], 'its own key alone is noted');
});

await t.test('what can’t be known now can’t be known of anything', async (t) => {
  const { full, own, foreign } = await worldsOf(t);
  const away = () => Promise.reject(new ReelayError('catalogue_unavailable'));
  Object.assign(full.catalogue, { get: away, tombstone: away, list: away });
  const status = async (id: string): Promise<number> =>
    (await ask(full, { method: 'GET', path: `/v1/recordings/${id}`, headers: bearer('one') })).status;
  t.equal(await status(own.live.manifest.recordingId), 200, 'what lies in the spool is known');
  for (const [kind, id] of [...foreign, ['nothing', randomUUID()] as const])
    t.equal(await status(id), 503, kind);
});

await t.test(
  'while stores are read another’s recording is waited for like one that isn’t there',
  async (t) => {
    const { full, own, foreign } = await worldsOf(t);
    full.library.expectStores();
    const answered: string[] = [];
    const waiting = [...foreign, ['nothing', randomUUID()] as const].map(async ([kind, id]) => {
      const { status } = await ask(full, {
        method: 'GET',
        path: `/v1/recordings/${id}`,
        headers: bearer('one'),
      });
      answered.push(`${kind} ${status}`);
    });
    const mine = `/v1/recordings/${own.stored.manifest.recordingId}`;
    for (let times = 0; times < 20; times++) t.equal((await full.ask('GET', mine, 'one')).status, 200);
    t.same(answered, [], 'nobody is answered before');
    full.library.goWithoutStores();
    await Promise.all(waiting);
    t.same(answered.sort(), [...foreign.keys(), 'nothing'].map((kind) => `${kind} 404`).sort());
  },
);

/** The same link with another recording in it, and the old signature. */
function tampered(path: string, from: string, to: string): string {
  const [text = '', signature = ''] = (path.split('/')[2] ?? '').split('.');
  const said = Buffer.from(text, 'base64url').toString().replace(from, to);
  return `/shared/${Buffer.from(said).toString('base64url')}.${signature}/audio.wav`;
}
