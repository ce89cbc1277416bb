import t from 'tap';
import type { AccountConfig, Config, StoreConfig } from '../../src/config/Config.js';
import { loadConfig } from '../../src/config/load.js';
import { ReelayError } from '../../src/config/ReelayError.js';
import { Stores } from '../../src/storage/Stores.js';

const base = loadConfig({}, {}, '/nowhere');
const [anyone] = base.accounts;
if (anyone === undefined) throw new Error('no account');
const account = (id: string, store: StoreConfig | null): AccountConfig => ({ ...anyone, id, store });
const configOf = (...accounts: AccountConfig[]): Config => ({ ...base, accounts });
const file = (dir: string): StoreConfig => ({ type: 'file', dir });
const s3 = (secretAccessKey: string): StoreConfig => ({
  type: 's3',
  bucket: 'calls',
  region: 'eu-west-1',
  endpoint: null,
  prefix: '',
  pathStyle: false,
  credentials: { accessKeyId: 'K', secretAccessKey, sessionToken: null },
  storageClass: null,
  encryption: null,
  tags: {},
});

void t.test(
  'an account has its own store, no other, and an explicit catch-all serves the rest',
  async (t) => {
    const stores = new Stores(configOf(account('a', file('/a')), account('b', null)));
    t.equal((await stores.of('a'))?.name, 'file:/a');
    t.equal(await stores.of('b'), null);
    await t.rejects(stores.of('c'), { code: 'unknown_account', value: 'c' });
    const caught = new Stores(configOf(account('a', file('/a')), account('*', file('/all'))));
    t.equal((await caught.of('c'))?.name, 'file:/all');
  },
);

void t.test(
  'accounts that share a place and its keys share one store; other keys are another store',
  async (t) => {
    const stores = new Stores(
      configOf(account('a', s3('one')), account('b', s3('one')), account('c', s3('two')), account('d', null)),
    );
    const [a, b, c] = [await stores.of('a'), await stores.of('b'), await stores.of('c')];
    t.equal(a, b);
    t.not(a, c);
    t.equal(a?.name, c?.name, 'one place all the same');
    t.equal(a?.name, 's3:eu-west-1/calls');
    t.strictSame(stores.all(), [a, c]);
  },
);

void t.test('a reload keeps what is as it was and closes what is gone', async (t) => {
  const stores = new Stores(configOf(account('a', s3('one')), account('b', s3('two'))));
  const [a, b] = [await stores.of('a'), await stores.of('b')];
  const closed: string[] = [];
  for (const [name, store] of [['a', a] as const, ['b', b] as const])
    if (store !== null) store.close = () => void closed.push(name);
  stores.reload(configOf(account('a', s3('one')), account('b', s3('three'))));
  t.equal(await stores.of('a'), a);
  t.not(await stores.of('b'), b);
  t.strictSame(closed, ['b']);
  stores.reload(configOf(account('b', s3('three'))));
  await t.rejects(stores.of('a'), { code: 'unknown_account' });
  t.strictSame(closed, ['b', 'a']);
});

void t.test('accounts that are looked up have stores too, which stay open while they are used', async (t) => {
  const find = (id: string): Promise<AccountConfig | undefined> =>
    id.startsWith('x') ? Promise.resolve(account(id, file(`/${id}`))) : Promise.resolve(undefined);
  const stores = new Stores(configOf(account('a', file('/a'))), { find });
  const first = await stores.of('x0');
  for (let index = 1; index < 256; index++) await stores.of(`x${index}`);
  t.equal(await stores.of('x0'), first);
  const second = await stores.of('x1');
  let closed = 0;
  if (second !== null) second.close = () => closed++;
  for (let index = 256; index < 511; index++) await stores.of(`x${index}`);
  t.not(await stores.of('x0'), first, 'the first ones had to go');
  t.equal(closed, 1);
  t.equal(stores.all().length, 1);
});

void t.test('who can’t be asked for an account is not taken for somebody who doesn’t know it', async (t) => {
  const find = () => Promise.reject(new ReelayError('accounts_unavailable', { value: '503' }));
  await t.rejects(new Stores(configOf(), { find }).of('a'), { code: 'accounts_unavailable' });
});
