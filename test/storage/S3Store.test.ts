import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { truncate } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import t, { type Test } from 'tap';
import type { S3StoreConfig } from '../../src/config/Config.js';
import { clockOf } from '../../src/storage/Clock.js';
import { S3Store } from '../../src/storage/S3Store.js';
import type { StoreFault } from '../../src/storage/StoreFault.js';
import { Sums } from '../../src/storage/Sums.js';
import { RawServer } from './fixtures/RawServer.js';
import { S3Server } from './fixtures/S3Server.js';
import { listed, sha256, storeSuite } from './fixtures/storeSuite.js';

const keys = { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret/+=' };

function configFor(server: { readonly endpoint: string }, more: Partial<S3StoreConfig> = {}): S3StoreConfig {
  return {
    type: 's3',
    bucket: 'calls',
    region: null,
    endpoint: server.endpoint,
    prefix: 'some/prefix',
    pathStyle: true,
    credentials: { ...keys, sessionToken: null },
    storageClass: null,
    encryption: null,
    tags: {},
    ...more,
  };
}

for (const checksums of [true, false])
  await t.test(`an S3 store ${checksums ? 'that gives checksums back' : 'that knows none'}`, async (t) => {
    const server = await S3Server.start({ buckets: [{ name: 'calls', ...keys }], checksums, pageSize: 3 });
    t.teardown(() => server.close());
    const credentials = { accessKeyId: 'AKIANOBODY', secretAccessKey: 'x', sessionToken: null };
    const store = new S3Store(configFor(server));
    t.teardown(() => store.close());
    await storeSuite(t, {
      store,
      wrongKey: new S3Store(configFor(server, { credentials })),
      missingPlace: new S3Store(configFor(server, { bucket: 'nowhere' })),
    });
    t.ok((await server.keys('calls')).every((key) => key.startsWith('some/prefix/')));
    t.strictSame(server.openUploads('calls'), []);
  });

const errorXml = (code: string) =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>m</Message></Error>`;

/** Every request is answered like this. */
async function answering(
  t: Test,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<S3Store> {
  const server = await RawServer.start((request, response) => {
    request.resume();
    answer(request, response);
  });
  const store = new S3Store(configFor(server), clockOf(100));
  t.teardown(async () => {
    store.close();
    await server.close();
  });
  return store;
}

await t.test('each refusal has somebody whose affair it is', async (t) => {
  let next: { status: number; code: string; headers: Record<string, string> };
  const store = await answering(t, (request, response) => {
    response.writeHead(next.status, { 'Content-Type': 'application/xml', ...next.headers });
    response.end(request.method === 'HEAD' ? undefined : errorXml(next.code));
  });
  const soon = new Date(Date.now() + 60_000).toUTCString();
  for (const [status, code, wanted, blame, headers = {}] of [
    [500, 'InternalError', 'store_unavailable', 'transient'],
    [503, 'SlowDown', 'store_unavailable', 'transient', { 'Retry-After': '7' }],
    [429, 'TooManyRequests', 'store_unavailable', 'transient', { 'Retry-After': soon }],
    [403, 'RequestTimeTooSkewed', 'store_unavailable', 'transient'],
    [400, 'RequestTimeout', 'store_unavailable', 'transient'],
    [409, 'OperationAborted', 'store_unavailable', 'transient'],
    [403, 'AccessDenied', 'store_denied', 'account'],
    [403, 'SignatureDoesNotMatch', 'store_denied', 'account'],
    [400, 'ExpiredToken', 'store_denied', 'account'],
    [400, 'KMS.DisabledException', 'store_denied', 'account'],
    [404, 'NoSuchBucket', 'store_denied', 'account'],
    [301, 'PermanentRedirect', 'store_denied', 'account'],
    [501, 'NotImplemented', 'store_denied', 'account'],
    [400, 'InvalidArgument', 'store_refused', 'ours'],
  ] as const) {
    next = { status, code, headers };
    for (const [what, action] of [
      ['list', () => listed(store.list(''))],
      ['size', () => store.size('a/b')],
      ['begin', () => store.multipart.begin('a/b')],
    ] as const) {
      const error = await action().then(
        () => undefined,
        (each: unknown) => each as StoreFault,
      );
      // A HEAD's answer has no body to say more, and only what looks final is asked once more.
      const value = what === 'size' && blame === 'transient' ? new RegExp(`^${status}`) : `${status} ${code}`;
      t.match(error, { code: wanted, blame, value }, `${what} ${status} ${code}`);
      const pause = error?.retryAfterMs ?? null;
      if (code === 'SlowDown') t.equal(pause, 7000);
      else if (code === 'TooManyRequests') t.ok(pause !== null && pause > 50_000 && pause <= 60_000);
      else t.equal(pause, null);
    }
  }
});

await t.test('nobody listening, and nobody of that name, pass by themselves', async (t) => {
  const server = await RawServer.start(() => undefined);
  const { endpoint } = server;
  await server.close();
  for (const where of [endpoint, 'http://nowhere.invalid'])
    await t.rejects(
      new S3Store(configFor({ endpoint: where })).size('a/b'),
      { code: 'store_unavailable' },
      where,
    );
});

await t.test('without credentials anywhere it is the account’s affair', async (t) => {
  const saved = { ...process.env };
  t.teardown(() => void Object.assign(process.env, saved));
  for (const name of Object.keys(process.env))
    if (name.startsWith('AWS_')) Reflect.deleteProperty(process.env, name);
  Object.assign(process.env, { AWS_EC2_METADATA_DISABLED: 'true', HOME: t.testdir({}) });
  const store = new S3Store(configFor({ endpoint: 'http://127.0.0.1:9' }, { credentials: null }));
  await t.rejects(store.size('a/b'), { code: 'store_denied', value: 'CredentialsProviderError' });
});

await t.test('a Complete that says 200 and means an error has failed', async (t) => {
  const upload = { key: 'a/b', uploadId: 'u' };
  const part = { number: 1, bytes: 4, tag: '"e"', sha256: null };
  const expected = [{ bytes: 4, sha256: sha256(Buffer.from('part')) }];
  for (const body of [errorXml('InternalError'), '', 'not xml at all', '<html><body>welcome</body></html>']) {
    const store = await answering(t, (request, response) => {
      if (request.method === 'POST') response.writeHead(200).end(body);
      else response.writeHead(404).end(request.method === 'HEAD' ? undefined : errorXml('NoSuchKey'));
    });
    await t.rejects(store.multipart.complete(upload, [part], expected), { code: 'store_unavailable' }, body);
  }
});

await t.test('an answer that isn’t a store’s is not taken for an empty bucket', async (t) => {
  const store = await answering(t, (_request, response) =>
    response.writeHead(200).end('<html><p>hi</p></html>'),
  );
  await t.rejects(listed(store.list('')), { code: 'store_unavailable' });
  await t.rejects(store.multipart.open('a/b'), { code: 'store_unavailable' });
  await t.rejects(store.multipart.parts({ key: 'a/b', uploadId: 'u' }), { code: 'store_unavailable' });
});

await t.test('a store that says nothing, and one that says it drop by drop, are left in time', async (t) => {
  const timers = new Set<NodeJS.Timeout>();
  t.teardown(() => timers.forEach((timer) => clearInterval(timer)));
  const trickle = (response: ServerResponse) => {
    response.writeHead(200, { 'Content-Length': '1000000' });
    timers.add(setInterval(() => response.write('x'), 5));
  };
  const path = join(t.testdir({ file: 'content' }), 'file');
  const expected = { sha256: sha256(Buffer.from('content')) };
  for (const [what, answer] of [
    ['silent', () => undefined],
    ['trickling', (_request: IncomingMessage, response: ServerResponse) => trickle(response)],
  ] as const) {
    const store = await answering(t, answer);
    const late = { code: 'store_unavailable', blame: 'transient', value: /not done within/ };
    await t.rejects(listed(store.list('')), late, `${what} list`);
    await t.rejects(store.put('a/b', path, expected), late, `${what} put`);
    await t.rejects(store.multipart.begin('a/b'), late, `${what} begin`);
    const read = async () => await buffer(await store.read('a/b'));
    await t.rejects(read(), { code: 'store_unavailable' }, `${what} read`);
  }
});

await t.test('an answer that breaks off is gone on with from there', async (t) => {
  const data = randomBytes(300_000);
  let answers = 0;
  const store = await answering(t, (request, response) => {
    const [, from = '0'] = /bytes=(\d+)-/.exec(request.headers.range ?? '') ?? [];
    const rest = data.subarray(Number(from));
    response.writeHead(200, { 'Content-Length': rest.length, ETag: '"e"' });
    if (++answers > 3) return void response.end(rest);
    response.write(rest.subarray(0, 70_000), () => setImmediate(() => response.destroy()));
  });
  t.ok(data.equals(await buffer(await store.read('a/b'))));
  t.equal(answers, 4);
});

await t.test('a store that hangs up on a body it refuses is found out to have refused', async (t) => {
  const store = await answering(t, (request, response) => {
    if (request.method === 'PUT') request.socket.destroy();
    else response.writeHead(403).end(errorXml('AccessDenied'));
  });
  const path = join(t.testdir({ file: 'content' }), 'file');
  const expected = { sha256: sha256(Buffer.from('content')) };
  await t.rejects(store.put('a/b', path, expected), { code: 'store_denied', value: '403 AccessDenied' });
});

await t.test('bytes that the store garbles are noticed, and sent again', async (t) => {
  const store = await answering(t, (request, response) => {
    response.writeHead(200, { ETag: '"e"' }).end(request.method === 'GET' ? 'c0ntent' : undefined);
  });
  const path = join(t.testdir({ file: 'content' }), 'file');
  const expected = { sha256: sha256(Buffer.from('content')) };
  await t.rejects(store.put('a/b', path, expected), { code: 'store_unavailable', blame: 'transient' });
});

await t.test('keys that no header can carry are the account’s affair', async (t) => {
  const server = await RawServer.start(() => undefined);
  t.teardown(() => server.close());
  // As it comes out of a file with a line's end.
  const credentials = { accessKeyId: 'AK\n', secretAccessKey: 's', sessionToken: null };
  const store = new S3Store(configFor(server, { credentials }));
  t.teardown(() => store.close());
  await t.rejects(store.size('a/b'), { code: 'store_denied', blame: 'account', value: 'ERR_INVALID_CHAR' });
  t.strictSame(server.requests, []);
});

await t.test('pages that turn in circles are not read for ever', async (t) => {
  const page = (name: string, rest: string) =>
    `<${name}><Name>b</Name><Bucket>b</Bucket><UploadId>u</UploadId><IsTruncated>true</IsTruncated>${rest}</${name}>`;
  const answers: Record<string, string> = {
    'list-type': page('ListBucketResult', '<NextContinuationToken>same</NextContinuationToken>'),
    uploads: page(
      'ListMultipartUploadsResult',
      '<NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>i</NextUploadIdMarker>',
    ),
    uploadId: page('ListPartsResult', '<NextPartNumberMarker>7</NextPartNumberMarker>'),
  };
  const store = await answering(t, (request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://localhost');
    response.writeHead(200, { 'Content-Type': 'application/xml' });
    response.end(Object.entries(answers).find(([name]) => searchParams.has(name))?.[1]);
  });
  for (const action of [
    () => listed(store.list('')),
    () => store.multipart.open('a/b'),
    () => store.multipart.parts({ key: 'a/b', uploadId: 'u' }),
  ])
    await t.rejects(Promise.resolve<unknown>(action()), {
      code: 'store_unavailable',
      value: '200 without its next page',
    });
});

await t.test('what is configured is said with every object, and sockets are kept and closed', async (t) => {
  const said: Record<string, unknown>[] = [];
  const server = await RawServer.start((request, response) => {
    said.push(request.headers);
    request.resume().on('end', () => {
      const sum = request.headers['x-amz-checksum-sha256'];
      response.writeHead(200, sum === undefined ? {} : { 'x-amz-checksum-sha256': sum });
      response.end('<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>');
    });
  });
  t.teardown(() => server.close());
  const store = new S3Store(
    configFor(server, {
      storageClass: 'STANDARD_IA',
      encryption: { type: 'sse-kms', kmsKeyId: 'key' },
      tags: { team: 'a b', 'k&': 'v=' },
    }),
  );
  const path = join(t.testdir({ file: 'content' }), 'file');
  const metadata = { 'Call-Id': 'CÄ1', other: 'x' };
  await store.put('a/0-audio.wav', path, { sha256: sha256(Buffer.from('content')), metadata });
  await store.multipart.begin('a/manifest.json', { metadata });
  t.equal(said.length, 2, 'no request more than there has to be');
  for (const [at, type] of ['audio/wav', 'application/json'].entries())
    t.match(said[at], {
      'content-type': type,
      'x-amz-storage-class': 'STANDARD_IA',
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'key',
      'x-amz-tagging': 'team=a+b&k%26=v%3D',
      'x-amz-meta-call-id': 'C?1',
      'x-amz-meta-other': 'x',
    });
  t.equal(said[0]?.['x-amz-content-sha256'], sha256(Buffer.from('content')), 'the signature covers the body');
  t.equal(await server.connections(), 1);
  store.close();
  while ((await server.connections()) > 0) await new Promise((resolve) => setImmediate(resolve));
  t.equal(await store.multipart.begin('a/x').then(({ uploadId }) => uploadId), 'u', 'it may still be used');
});

await t.test('memory stays as it is, however long the file', async (t) => {
  const server = await S3Server.start({ buckets: [{ name: 'calls', ...keys }], checksums: false });
  t.teardown(() => server.close());
  const store = new S3Store(configFor(server));
  t.teardown(() => store.close());
  const path = join(t.testdir({ file: '' }), 'file');
  const [MiB, megabytes] = [2 ** 20, 100];
  await truncate(path, megabytes * MiB);
  const sums = new Sums();
  await pipeline(createReadStream(path), sums.resume());
  const before = process.memoryUsage().rss;
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 5);
  const beforeMultipart = () => Promise.resolve();
  await store.put('long/audio.wav', path, { sha256: sums.sha256 ?? '', beforeMultipart });
  await store.put('long/plain.wav', path, { sha256: sums.sha256 ?? '' });
  clearInterval(watch);
  t.comment(
    `${megabytes} MiB stored and read back with ${Math.round((most - before) / MiB)} MiB more memory`,
  );
  t.ok(most - before < 80 * MiB, 'less than was sent, with the store in the same process');
});
