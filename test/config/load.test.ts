import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { apiKeyOf } from '../../src/config/ApiKey.js';
import type { Config } from '../../src/config/Config.js';
import { accountOf } from '../../src/config/Config.js';
import { variablesOf } from '../../src/config/environment.js';
import { loadConfig, parseAccount } from '../../src/config/load.js';
import { configSchema } from '../../src/config/schema.js';
import { ReelayError } from '../../src/config/ReelayError.js';

const whole = `
media:     { host: 0.0.0.0, port: 8080, publicUrl: https://relay.example.com }
control:   { host: 127.0.0.1, port: 8081, adminKeys: ["\${ADMIN}"] }
spool:     { dir: ./spool, maxBytes: 10GiB, flushMs: 100, syncMs: 500 }
recording: { chunkSeconds: 60, channels: dual, layout: chunks }
accounts:
  - id: AC0123
    upstream: wss://bot.example.com/twilio
    onUpstreamLoss: close
    resumeSeconds: 5
    twilio:  { authToken: "\${TOKEN}" }
    jambonz: { username: u, password: p, returns: streaming }
    store:   { type: file, dir: ./recordings }
    apiKeys: ["\${ACME_KEY}"]
    record: always
  - id: AC0456
    upstream: { twilio: wss://a.example.com/t, jambonz: null }
    twilio:  { authToken: [new, old], requireToken: true }
    jambonz: { credentials: [{ username: a, password: b }, { username: c, password: d }] }
`;
const secrets = { ADMIN: 'admin-key', TOKEN: 'twilio-token', ACME_KEY: 'acme-key' };

async function fileOf(folder: string, content: string): Promise<string> {
  const file = join(folder, 'reelay.yaml');
  await writeFile(file, content);
  return file;
}

/** What the loader says about a file; fails the test when it says nothing. */
function complaint(load: () => Config): ReelayError {
  try {
    load();
  } catch (error) {
    if (error instanceof ReelayError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

await t.test('the documented file becomes plain, frozen, fully defaulted data', async (t) => {
  const folder = t.testdir({});
  const config = loadConfig({ config: await fileOf(folder, whole) }, secrets, '/elsewhere');
  t.equal(config.spool.dir, join(folder, 'spool'), 'paths are those of the file, not of the process');
  t.equal(config.spool.maxBytes, 10 * 2 ** 30);
  t.strictSame(config.control.adminKeys, [apiKeyOf('admin-key')]);
  const [first, second] = config.accounts;
  if (first === undefined || second === undefined) throw new Error('two accounts are missing');
  t.strictSame(first.upstream, {
    twilio: 'wss://bot.example.com/twilio',
    jambonz: 'wss://bot.example.com/twilio',
  });
  t.strictSame(first.twilio, { authTokens: ['twilio-token'], requireToken: false });
  t.strictSame(first.jambonz.credentials, [{ username: 'u', password: 'p' }]);
  t.strictSame(first.store, { type: 'file', dir: join(folder, 'recordings') });
  t.strictSame(second.upstream, { twilio: 'wss://a.example.com/t', jambonz: null });
  t.strictSame(second.twilio, { authTokens: ['new', 'old'], requireToken: true });
  t.equal(second.jambonz.credentials.length, 2);
  t.equal(second.store, null, 'an account without a store has none, not the default one');
  t.strictSame(structuredClone(config), config, 'nothing in it is more than data');
  t.ok(Object.isFrozen(first.twilio));
  t.equal(accountOf(config, 'AC9'), undefined, 'an account that is not named is not served');
});

await t.test(
  'without a file there is one account for any call, without secrets, below the working directory',
  (t) => {
    const config = loadConfig({ upstream: 'ws://127.0.0.1:9000' }, {}, '/home/somebody');
    t.equal(config.accounts.length, 1);
    const account = accountOf(config, 'AC77');
    t.match(account, {
      id: '*',
      upstream: { twilio: 'ws://127.0.0.1:9000', jambonz: 'ws://127.0.0.1:9000' },
      store: { type: 'file', dir: '/home/somebody/recordings' },
      twilio: { authTokens: [] },
      apiKeys: [],
    });
    t.match(config, { media: { host: '0.0.0.0', port: 8080 }, control: { host: '127.0.0.1', port: 8081 } });
    t.equal(accountOf(loadConfig({}, {}, '/'), 'x')?.upstream.twilio, null);
    t.end();
  },
);

await t.test('flags lie over the environment, and the environment over the file', async (t) => {
  const config = await fileOf(t.testdir({}), whole);
  const environment = { ...secrets, REELAY_MEDIA_PORT: '1111', REELAY_CONTROL_PORT: '2222' };
  const loaded = loadConfig({ config, mediaPort: 3333, store: 'kept' }, environment, '/run');
  t.equal(loaded.media.port, 3333);
  t.equal(loaded.control.port, 2222);
  t.strictSame(
    loaded.accounts.map(({ store }) => store),
    [
      { type: 'file', dir: '/run/kept' },
      { type: 'file', dir: '/run/kept' },
    ],
  );
});

await t.test('every key can come from the environment', (t) => {
  const config = loadConfig(
    {},
    {
      REELAY_MEDIA_PUBLIC_URL: 'wss://relay.example.com:8443/',
      REELAY_CONTROL_ADMIN_KEYS: 'one, two',
      REELAY_SPOOL_MAX_BYTES: '500 MB',
      REELAY_RECORDING_CHANNELS: 'mixed',
      REELAY_LIMITS_RING_BYTES: '1MiB',
      REELAY_TRACING_ENDPOINT: 'https://collector.example/v1/traces/',
      REELAY_TRACING_HEADERS: '{ authorization: Bearer x }',
      REELAY_TRACING_SERVICE_NAME: 'calls',
      REELAY_ACCOUNTS_0_ID: 'AC1',
      REELAY_ACCOUNTS_0_TWILIO_AUTH_TOKEN: 'new,old',
      REELAY_ACCOUNTS_0_TWILIO_REQUIRE_TOKEN: 'true',
      REELAY_ACCOUNTS_0_JAMBONZ_CREDENTIALS: '[{ username: u, password: "1,2" }]',
      REELAY_ACCOUNTS_0_STORE: '{ type: file, dir: /kept }',
      REELAY_ACCOUNTS_1_ID: 'AC2',
      REELAY_FAULTS: '1',
    },
    '/run',
  );
  t.strictSame(config.tracing, {
    endpoint: 'https://collector.example/v1/traces',
    headers: { authorization: 'Bearer x' },
    serviceName: 'calls',
  });
  t.match(config, {
    media: { publicUrl: 'https://relay.example.com:8443' },
    control: { adminKeys: [apiKeyOf('one'), apiKeyOf('two')] },
    spool: { maxBytes: 500e6 },
    recording: { channels: 'mixed' },
    limits: { ringBytes: 2 ** 20 },
    accounts: [
      {
        id: 'AC1',
        twilio: { authTokens: ['new', 'old'], requireToken: true },
        jambonz: { credentials: [{ username: 'u', password: '1,2' }] },
        store: { dir: '/kept' },
      },
      { id: 'AC2' },
    ],
  });
  t.end();
});

/** An account with a bucket, one key of which is wrong. */
function bucket(key: string): string {
  return `accounts: [{ id: a, store: { type: s3, ${key.startsWith('bucket:') ? '' : 'bucket: calls, '}${key} } }]`;
}

function container(key: string): string {
  const rest = key.startsWith('container:') ? '' : 'container: abc, ';
  return `accounts: [{ id: a, store: { type: azure, ${rest}connectionString: "AccountName=n;AccountKey=hush", ${key} } }]`;
}

const wrong: readonly (readonly [name: string, content: string, says: RegExp])[] = [
  ['a misspelt key', 'media: { prot: 1 }', /media has the unknown key "prot"; did you mean "port"\?/],
  ['an unknown section', 'telephones: {}', /unknown key "telephones"; the keys here are media, control/],
  ['a port out of range', 'media: { port: 70000 }', /media\.port is 70000; it must be a TCP port/],
  ['a size without a unit that exists', 'spool: { maxBytes: 10Gb }', /spool\.maxBytes is "10Gb"; .*10GiB/],
  ['a public URL with a path', 'media: { publicUrl: https://a.b/c }', /media\.publicUrl .*without a path/],
  ['no accounts at all', 'accounts: []', /accounts must list at least one account/],
  ['an account without id', 'accounts: [{}]', /accounts\[0\]\.id is missing/],
  ['an id that leaves its folder', 'accounts: [{ id: ../x }]', /accounts\[0\]\.id is "\.\.\/x"/],
  ['an id twice', 'accounts: [{ id: a }, { id: a }]', /accounts\[1\]\.id is "a", which accounts\[0\] has/],
  [
    'a bot that is no socket',
    'accounts: [{ id: a, upstream: http://b }]',
    /upstream is "http:\/\/b"; .*wss:/,
  ],
  ['half a login', 'accounts: [{ id: a, jambonz: { username: u } }]', /jambonz\.password is missing/],
  [
    'a missing variable',
    'control: { adminKeys: ["${NO_KEY}"] }',
    /control\.adminKeys\[0\] .*\$\{NO_KEY\}.*set NO_KEY/,
  ],
  [
    'a store of no known kind',
    'accounts: [{ id: a, store: { type: ftp } }]',
    /store\.type is "ftp"; .*file, s3, azure/,
  ],
  [
    'a store without its kind',
    'accounts: [{ id: a, store: { dir: x } }]',
    /store\.type is missing; it must be one of/,
  ],
  [
    'a store that is a word',
    'accounts: [{ id: a, store: ./x }]',
    /store is "\.\/x"; it must be a store, for example/,
  ],
  [
    'a layout that does not exist',
    'recording: { layout: jambonz }',
    /layout is "jambonz"; .*chunks, single, both/,
  ],
  [
    'a key of another kind of store',
    bucket('dir: ./x'),
    /store has the unknown key "dir"; the keys here are type, bucket/,
  ],
  [
    'a misspelt key of a store',
    bucket('pathstyle: true'),
    /unknown key "pathstyle"; did you mean "pathStyle"\?/,
  ],
  [
    'a bucket in capitals',
    bucket('bucket: Calls'),
    /store\.bucket is "Calls"; it must be the name of a bucket/,
  ],
  ['a bucket with a folder', bucket('bucket: calls/eu'), /store\.bucket is "calls\/eu"/],
  ['a bucket that is an address', bucket('bucket: 10.0.0.1'), /store\.bucket is "10\.0\.0\.1"/],
  [
    'a prefix that climbs',
    bucket('prefix: ../b'),
    /store\.prefix is "\.\.\/b"; it must be a prefix such as calls\/eu/,
  ],
  ['a prefix with empty parts', bucket('prefix: a//b'), /store\.prefix is "a\/\/b"/],
  [
    'an endpoint that is a name',
    bucket('endpoint: minio:9000'),
    /store\.endpoint .*must be an http:\/\/ or https:\/\/ URL/,
  ],
  ['a class that must be thawed', bucket('storageClass: GLACIER'), /storageClass is "GLACIER"; .*GLACIER_IR/],
  ['half a credential', bucket('accessKeyId: AKIA'), /store\.secretAccessKey is missing; .*go together/],
  ['a session without its key', bucket('sessionToken: hush'), /store\.accessKeyId is missing/],
  [
    'an encryption that S3 has not',
    bucket('encryption: aes'),
    /encryption is "aes"; it must be sse-s3, sse-kms, or/,
  ],
  [
    'a misspelt KMS key',
    bucket('encryption: { type: sse-kms, kmsKeyID: k }'),
    /store\.encryption must be sse-s3/,
  ],
  [
    'eleven tags',
    bucket('tags: { a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1, j: 1, k: 1 }'),
    /tags must be at most ten/,
  ],
  [
    'a container in capitals',
    container('container: A_B'),
    /store\.container is "A_B"; .*the name of a container/,
  ],
  [
    'a container without a way in',
    'accounts: [{ id: a, store: { type: azure, container: abc } }]',
    /store needs either a connectionString or a sasUrl/,
  ],
  ['a container with two ways in', container('sasUrl: "https://x.example/?sig=hush"'), /store needs either/],
  ['a URL that is not signed', container('sasUrl: https://x.example/'), /store\.sasUrl must be .*sig=/],
  [
    'half a login of jambonz itself',
    'recordEndpoint: { username: u }',
    /recordEndpoint\.password is missing/,
  ],
  [
    'a time zone that is none',
    'recordEndpoint: { timeZone: Europe/Atlantis }',
    /timeZone is "Europe\/Atlantis"; .*IANA/,
  ],
  [
    'an offset for a time zone',
    'recordEndpoint: { timeZone: "+01:00" }',
    /recordEndpoint\.timeZone is "\+01:00"/,
  ],
  [
    'a format that jambonz has not',
    'accounts: [{ id: a, jambonz: { recordFormat: ogg } }]',
    /recordFormat is "ogg"; .*mp3, wav/,
  ],
  [
    'another way to record',
    'accounts: [{ id: a, record: sometimes }]',
    /record is "sometimes"; it must be one of/,
  ],
  [
    'a catalogue of another kind',
    'catalogue: { url: "mysql://x" }',
    /catalogue\.url is "mysql:\/\/x"; .*memory:, sqlite:/,
  ],
  ['a catalogue without a file', 'catalogue: { url: "sqlite:" }', /catalogue\.url is "sqlite:"; it must be/],
  ['a catalogue in SQLite’s memory', 'catalogue: { url: "sqlite::memory:" }', /catalogue\.url .*memory:/],
  ['a catalogue without a server', 'catalogue: { url: "postgres:x" }', /catalogue\.url .*postgres:\/\//],
  [
    'a catalogue’s password',
    'catalogue: { url: "postgres://u:hush@:x" }',
    /catalogue\.url must be .*(?!hush)/,
  ],
  [
    'a webhook without a secret',
    'accounts: [{ id: a, webhooks: [{ url: https://x }] }]',
    /webhooks\[0\]\.secret is missing; it must be whsec_/,
  ],
  [
    'traces that go nowhere',
    'tracing: { endpoint: "collector:4318" }',
    /tracing\.endpoint is "collector:4318"; it must be an http:/,
  ],
  [
    'a header of traces that is none',
    'tracing: { headers: { "x y": hush } }',
    /^(?![\s\S]*hush)[\s\S]*tracing\.headers must be headers/,
  ],
  [
    'half of what LiveKit needs',
    'accounts: [{ id: a, livekit: { url: wss://x, apiKey: k } }]',
    /livekit\.apiSecret is missing; url, apiKey and apiSecret go together/,
  ],
  [
    'rooms that are no names',
    'accounts: [{ id: a, livekit: { url: wss://x, apiKey: k, apiSecret: hush, rooms: [3] } }]',
    /^(?![\s\S]*hush)[\s\S]*livekit\.rooms must be all, none, or a list of patterns/,
  ],
  [
    'a room without a server',
    'accounts: [{ id: a, upstream: "livekit://call-{callId}" }]',
    /accounts\[0\]\.livekit is missing; its upstream is a room/,
  ],
  [
    'a room that can’t be called so',
    'accounts: [{ id: a, upstream: "livekit://a/b" }]',
    /upstream is "livekit:\/\/a\/b"; it must be a ws:\/\/ or wss:\/\/ URL.* or livekit:\/\//,
  ],
  [
    'a room whose voices would be clips',
    'accounts: [{ id: a, upstream: { jambonz: "livekit://a" }, jambonz: { returns: playAudio }, livekit: { url: wss://x, apiKey: k, apiSecret: hush } }]',
    /^(?![\s\S]*hush)[\s\S]*accounts\[0\]\.jambonz\.returns is "playAudio"; .*"streaming"/,
  ],
  [
    'rooms of anybody',
    'accounts: [{ id: "*", livekit: { url: wss://x, apiKey: k, apiSecret: hush } }]',
    /accounts\[0\]\.livekit is given to "\*"/,
  ],
  [
    'secrets asked for in the clear',
    'accountsUrl: http://x.example',
    /accountsUrl is "http:\/\/x\.example"; .*https:/,
  ],
  [
    'an account in the host',
    'accountsUrl: "https://{account}.example/"',
    /accountsUrl .*\{account\} in its path or query/,
  ],
  [
    'a login in the URL',
    'accountsUrl: https://u:hush@x.example',
    /accountsUrl must be an https:\/\/ URL .*without user/,
  ],
  [
    'a key that is sent nowhere',
    'accountLookup: { key: hush }',
    /accountLookup\.key is given without accountsUrl/,
  ],
  ['a misspelt time', 'accountLookup: { ttl: 5 }', /accountLookup has the unknown key "ttl"/],
  ['YAML that is none', 'media: [', /reelay\.yaml.*line 1/s],
  ['a list instead of sections', '- media', /must hold sections such as media:/],
  [
    'a store inside the spool',
    'accounts: [{ id: a, store: { type: file, dir: spool/x } }]',
    /overlaps spool\.dir/,
  ],
  ...['{ beep: x.wav }', '{ a/b: x.wav }', '{ a: 5 }', '[a]', 'x.wav'].map(
    (prompts) =>
      [
        `prompts ${prompts}`,
        `prompts: ${prompts}`,
        /prompts (?:is "x.wav"; it )?must be \{ name: file \}/,
      ] as const,
  ),
  [
    'a prompt that is nowhere',
    'accounts: [{ id: AC1, prompt: constent }]',
    /accounts\[0\]\.prompt is "constent"; it must be one of beep/,
  ],
  ['one port for both', 'control: { port: 8080 }', /control\.port is 8080, like media\.port/],
];
for (const [name, content, says] of wrong) {
  await t.test(`${name} is refused in words that help`, async (t) => {
    const config = await fileOf(t.testdir({}), content);
    const error = complaint(() => loadConfig({ config }, {}, '/'));
    t.equal(error.code, 'config_invalid');
    t.match(error.message, says);
    t.notMatch(error.message, 'hush');
  });
}

await t.test('a store that a symbolic link leads into the spool is refused', async (t) => {
  const folder = t.testdir({ spool: {}, link: t.fixture('symlink', 'spool') });
  for (const dir of ['link', 'link/below/it']) {
    const config = await fileOf(folder, `accounts: [{ id: a, store: { type: file, dir: ${dir} } }]`);
    t.match(complaint(() => loadConfig({ config }, {}, '/')).message, /overlaps spool\.dir/, dir);
  }
});

await t.test('a file that is no YAML is refused without showing what is in it', async (t) => {
  for (const text of ['{ authToken: "hush', 'a: b\n\thush: 1', 'a: [hush', 'a: *hush']) {
    const config = await fileOf(t.testdir({}), text);
    const { code, message } = complaint(() => loadConfig({ config }, {}, '/'));
    t.equal(code, 'config_invalid', text);
    t.match(message, /line \d+, column \d+ cannot be read: |put it in quotes/, text);
    t.notMatch(message, 'hush');
  }
});

await t.test('all problems are told at once, and no secret among them', async (t) => {
  const content =
    'media: { port: -1 }\ncontrol: { adminKeys: [{ a: hush }] }\naccounts: [{ id: "", twilio: { authToken: [""] }, apiKeys: [1234567] }]';
  const error = complaint(() => loadConfig({ config: `${t.testdirName}.yaml` }, {}, '/'));
  t.equal(error.code, 'config_unreadable');
  const config = await fileOf(t.testdir({}), content);
  const { message } = complaint(() =>
    loadConfig({ config, store: 's3://u:hush@b', controlPort: 1e9 }, {}, '/'),
  );
  for (const path of ['media.port', 'control.adminKeys', 'accounts[0].id', 'authToken', 'apiKeys'])
    t.ok(message.includes(path), path);
  t.notMatch(message, /hush|1234567/);
});

await t.test(
  'a secret with white space around it, which would never match, is refused and not shown',
  async (t) => {
    const content =
      'control: { adminKeys: "${KEY}" }\naccounts: [{ id: a, twilio: { authToken: " hush" }, apiKeys: [" hush"] }]';
    const config = await fileOf(t.testdir({}), content);
    const { message } = complaint(() => loadConfig({ config }, { KEY: 'hush\n' }, '/'));
    for (const path of ['control.adminKeys', 'authToken', 'apiKeys'])
      t.match(message, new RegExp(`${path} must be a (?:text|key) without white space around it`));
    t.notMatch(message, 'hush');
  },
);

await t.test('flags are checked like the rest', (t) => {
  const { message } = complaint(() =>
    loadConfig(
      { store: 's3://B/prefix', controlPort: 70_000, upstream: 'bot.example.com' },
      { AWS_REGION: 'eu west' },
      '/',
    ),
  );
  t.match(message, /--store is "s3:\/\/B\/prefix"; its bucket must be the name of a bucket/);
  t.match(message, /its region \(AWS_REGION\) must be/);
  t.match(message, /--control-port is 70000/);
  t.match(message, /--upstream is "bot\.example\.com"/);
  t.end();
});

await t.test('a store that is no folder and no bucket is refused as a flag', (t) => {
  for (const store of ['azure://container', 'gs://bucket', 'https://x.example/?sig=hush']) {
    const { message } = complaint(() => loadConfig({ store }, {}, '/'));
    t.match(message, /--store .*give a folder or s3:\/\/bucket\/prefix/, store);
    t.notMatch(message, 'hush');
  }
  t.end();
});

await t.test('a bucket is everything that it says and defaults for the rest', async (t) => {
  const stores = async (...lines: string[]) => {
    const accounts = lines.map((line, index) => `  - { id: a${index}, store: ${line} }`);
    const config = await fileOf(t.testdir({}), ['accounts:', ...accounts].join('\n'));
    return loadConfig({ config }, { SECRET: 'hush' }, '/').accounts.map(({ store }) => store);
  };
  const plain = {
    type: 's3',
    bucket: 'calls',
    region: null,
    endpoint: null,
    prefix: '',
    pathStyle: false,
    credentials: null,
    storageClass: null,
    encryption: null,
    tags: {},
  };
  const [least, most, shared] = await stores(
    '{ type: s3, bucket: calls }',
    '{ type: s3, bucket: calls, region: eu-west-1, endpoint: "http://minio:9000/", prefix: /a/b=1/, accessKeyId: AKIA, ' +
      'secretAccessKey: "${SECRET}", sessionToken: t, storageClass: STANDARD_IA, tags: { team: voice, cost: 7 }, ' +
      'encryption: { type: sse-kms, kmsKeyId: "arn:aws:kms:eu-west-1:1:key/2" } }',
    '{ type: s3, bucket: calls, endpoint: "https://s3.example", pathStyle: false, encryption: sse-s3 }',
  );
  t.strictSame(least, plain);
  t.strictSame(most, {
    ...plain,
    region: 'eu-west-1',
    endpoint: 'http://minio:9000',
    prefix: 'a/b=1',
    pathStyle: true,
    credentials: { accessKeyId: 'AKIA', secretAccessKey: 'hush', sessionToken: 't' },
    storageClass: 'STANDARD_IA',
    encryption: { type: 'sse-kms', kmsKeyId: 'arn:aws:kms:eu-west-1:1:key/2' },
    tags: { team: 'voice', cost: '7' },
  });
  t.strictSame(shared, { ...plain, endpoint: 'https://s3.example', encryption: { type: 'sse-s3' } });
  const signed = 'https://n.blob.core.windows.net/?sv=1&sig=hush';
  t.strictSame(await stores(`{ type: azure, container: calls, sasUrl: "${signed}", prefix: p/ }`), [
    { type: 'azure', container: 'calls', connectionString: null, sasUrl: signed, prefix: 'p' },
  ]);
});

await t.test('each key of a bucket can come from the environment by itself', (t) => {
  const store = 'REELAY_ACCOUNTS_0_STORE';
  const environment = {
    REELAY_ACCOUNTS_0_ID: 'AC1',
    [`${store}_TYPE`]: 's3',
    [`${store}_BUCKET`]: 'calls',
    [`${store}_PATH_STYLE`]: 'true',
    [`${store}_ACCESS_KEY_ID`]: 'AKIA',
    [`${store}_SECRET_ACCESS_KEY`]: 'hush',
    [`${store}_ENCRYPTION`]: 'sse-kms',
    [`${store}_TAGS`]: '{ team: voice }',
  };
  t.match(loadConfig({}, environment, '/').accounts[0]?.store, {
    bucket: 'calls',
    pathStyle: true,
    credentials: { accessKeyId: 'AKIA', secretAccessKey: 'hush', sessionToken: null },
    encryption: { type: 'sse-kms', kmsKeyId: null },
    tags: { team: 'voice' },
  });
  const { message } = complaint(() => loadConfig({}, { ...environment, [`${store}_DIR`]: '/x' }, '/'));
  t.match(message, /accounts\[0\]\.store has the unknown key "dir"/);
  t.end();
});

await t.test('a bucket on the command line is where the AWS environment says', (t) => {
  const stores = (environment: Record<string, string>) =>
    loadConfig({ store: 's3://calls/a/b/' }, environment, '/').accounts.map(({ store }) => store);
  t.match(stores({}), [{ type: 's3', bucket: 'calls', prefix: 'a/b', region: null, pathStyle: false }]);
  const both = {
    AWS_ENDPOINT_URL: 'http://a:1',
    AWS_ENDPOINT_URL_S3: 'http://b:2',
    AWS_DEFAULT_REGION: 'r-1',
  };
  t.match(stores(both), [{ endpoint: 'http://b:2', region: 'r-1', pathStyle: true, credentials: null }]);
  t.end();
});

await t.test('jambonz as a whole has credentials, a layout and a time zone of its own', async (t) => {
  const content =
    'recordEndpoint: { username: u, password: p, credentials: [{ username: v, password: q }], timeZone: Europe/Berlin }';
  const config = await fileOf(t.testdir({}), content);
  t.strictSame(loadConfig({ config }, {}, '/').recordEndpoint, {
    credentials: [
      { username: 'u', password: 'p' },
      { username: 'v', password: 'q' },
    ],
    layout: 'jambonz',
    timeZone: 'Europe/Berlin',
  });
  t.strictSame(loadConfig({}, {}, '/').recordEndpoint, {
    credentials: [],
    layout: 'jambonz',
    timeZone: 'UTC',
  });
});

await t.test('accounts that are asked for leave none for any call', (t) => {
  const asked = (url: string) =>
    loadConfig({}, { REELAY_ACCOUNTS_URL: url, REELAY_ACCOUNT_LOOKUP_KEY: 'k' }, '/');
  const config = asked('https://x.example/accounts/{account}.json');
  t.strictSame(config.accounts, []);
  t.equal(accountOf(config, 'AC1'), undefined);
  t.strictSame(config.accountLookup, {
    url: 'https://x.example/accounts/{account}.json',
    key: 'k',
    ttlSeconds: 60,
    staleSeconds: 86_400,
    timeoutMs: 2000,
  });
  t.equal(asked('http://127.0.0.1:5/a').accountLookup?.url, 'http://127.0.0.1:5/a?account={account}');
  t.equal(asked('https://x.example/a?b=1').accountLookup?.url, 'https://x.example/a?b=1&account={account}');
  t.equal(loadConfig({}, {}, '/').accountLookup, null);
  t.end();
});

await t.test('an account from elsewhere is read like one of the file', (t) => {
  const account = parseAccount({ id: 'AC1', store: { type: 'file', dir: 'kept' }, apiKeys: 'k' }, '/run');
  t.match(account, {
    id: 'AC1',
    store: { type: 'file', dir: '/run/kept' },
    apiKeys: [apiKeyOf('k')],
    record: 'always',
  });
  t.ok(Object.isFrozen(account.twilio));
  const refused = (value: unknown, says: RegExp, among?: Config) => {
    let error: unknown;
    try {
      parseAccount(value, '/run', among);
    } catch (caught) {
      error = caught;
    }
    if (!(error instanceof ReelayError)) throw new Error('the account was accepted');
    t.equal(error.code, 'config_invalid');
    t.match(error.message, says);
    t.notMatch(error.message, 'hush');
  };
  refused(null, /the account is null; it must be a section/);
  refused([], /the account must be a section/);
  refused({ id: 'a', storre: {} }, /the account has the unknown key "storre"; did you mean "store"\?/);
  refused({ id: 'a', store: 'AccountKey=hush' }, /store must be a store/);
  refused({ id: 'a', store: { type: 's3', bucket: 'B', secretAccessKey: 'hush' } }, /store\.bucket is "B"/);
  refused({ id: 'a', twilio: { authToken: ' hush' } }, /twilio\.authToken must be a text/);
  const among = loadConfig({}, { REELAY_CONTROL_ADMIN_KEYS: 'k' }, '/run');
  refused({ id: 'a', apiKeys: 'k' }, /apiKeys has a key that is in control\.adminKeys too/, among);
  refused(
    { id: 'a', store: { type: 'file', dir: 'spool' } },
    /store\.dir is "\/run\/spool", which overlaps/,
    among,
  );
  t.equal(
    parseAccount({ id: '*', apiKeys: 'l' }, '/run', among).id,
    '*',
    'one that is known already may change',
  );
  t.end();
});

await t.test('one key for two accounts would show one the calls of the other, and is refused', async (t) => {
  const config = await fileOf(
    t.testdir({}),
    'control: { adminKeys: [k] }\naccounts: [{ id: a, apiKeys: [k, l] }, { id: b, apiKeys: [l] }]',
  );
  const { message } = complaint(() => loadConfig({ config }, {}, '/'));
  t.match(message, /accounts\[0\]\.apiKeys has a key that is in control\.adminKeys too/);
  t.match(message, /accounts\[1\]\.apiKeys has a key that is in accounts\[0\]\.apiKeys too/);
});

await t.test('a misspelt variable is told, one that the file itself names is not', async (t) => {
  t.match(
    complaint(() => loadConfig({}, { REELAY_MEDIA_PROT: '1' }, '/')).message,
    /did you mean REELAY_MEDIA_PORT/,
  );
  const config = await fileOf(t.testdir({}), 'control: { adminKeys: ["${REELAY_CONTROL_SECRET}"] }');
  const loaded = loadConfig({ config }, { REELAY_CONTROL_SECRET: 'k', REELAY_KERNELS: 'typescript' }, '/');
  t.strictSame(loaded.control.adminKeys, [apiKeyOf('k')]);
});

await t.test('a value from the environment adds no keys, and a dollar sign can be written', async (t) => {
  const config = await fileOf(t.testdir({}), 'control: { adminKeys: ["${A}", "$${B}"] }');
  const loaded = loadConfig({ config }, { A: 'x"], port: 1 #' }, '/');
  t.strictSame(loaded.control.adminKeys, [apiKeyOf('x"], port: 1 #'), apiKeyOf('${B}')]);
  t.equal(loaded.control.port, 8081);
});

await t.test('JSON is read as well', async (t) => {
  const folder = t.testdir({});
  await mkdir(join(folder, 'etc'));
  const config = join(folder, 'etc', 'reelay.json');
  await writeFile(config, JSON.stringify({ media: { port: 0 }, spool: { dir: '../s' } }));
  t.equal(loadConfig({ config }, {}, '/').spool.dir, join(folder, 's'));
});

await t.test('prompts are named, and accounts take one of them', async (t) => {
  const folder = t.testdir({});
  const content = `
prompts: { consent: ./consent.ogg }
accounts: [{ id: AC1, prompt: consent }, { id: AC2, prompt: beep }, { id: AC3 }]`;
  const { prompts, accounts } = loadConfig({ config: await fileOf(folder, content) }, {}, '/');
  t.strictSame(prompts, { consent: { file: join(folder, 'consent.ogg'), samples: {} } });
  t.same(
    accounts.map(({ prompt }) => prompt),
    ['consent', 'beep', null],
  );
});

await t.test('the documentation lists exactly the variables that exist', async (t) => {
  const documented = await readFile('docs/configuration.md', 'utf8');
  const listed = new Set(documented.match(/REELAY_[A-Z0-9_]*[A-Z0-9]/g));
  const known = [...variablesOf(configSchema('/')).keys()];
  t.ok(known.length > 40, 'the schema was walked');
  for (const name of known) t.ok(listed.has(name), `${name} is documented`);
  const own = ['REELAY_FAULTS', 'REELAY_KERNELS', 'REELAY_ADMIN_KEY', 'REELAY_CLOCK_SPEED', 'REELAY_KILL_AT'];
  for (const name of listed) t.ok(known.includes(name) || own.includes(name), `${name} exists`);
});
