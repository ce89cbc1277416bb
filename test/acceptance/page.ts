import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Browser, type Window, type WindowOptions } from './browser/Browser.js';
import { lostMs, TalkativeCalls } from './browser/TalkativeCalls.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';

/*
 * The page in a real browser, against a real daemon with real calls: somebody signs in with a key, sees a call, hears it while it runs, goes
 * to a gap, saves the recording, and sees nothing of another account.
 *
 *     npm run test:page -- [folder for screenshots of every view]
 */
const shots = process.argv[2] ?? null;
const keys = {
  admin: 'the-administrator',
  acme: 'the-key-of-acme',
  reader: 'reads-acme',
  other: 'another-key',
};

// Of all of it together.
t.setTimeout(600_000);
const browser = await Browser.start(shots);
const dir = await mkdtemp(join(tmpdir(), 'reelay-page-'));
const calls = await TalkativeCalls.prepare();
const { url: upstream } = await calls.bot.listen();
const nowhere = { type: 's3', bucket: 'none', region: 'eu-west-1', accessKeyId: 'a', secretAccessKey: 'b' };
const daemon = await DaemonProcess.start({
  dir,
  chunkSeconds: 2,
  accounts: [
    {
      id: 'acme',
      upstream,
      resumeSeconds: 0,
      apiKeys: [
        { key: keys.acme, name: 'front desk' },
        { key: keys.reader, name: 'reader', scopes: ['read'] },
      ],
    },
    { id: 'other', upstream, resumeSeconds: 0, apiKeys: [keys.other] },
    // A store that nobody answers for.
    { id: 'stuck', upstream, resumeSeconds: 0, store: { ...nowhere, endpoint: 'http://127.0.0.1:9' } },
  ],
  config: { control: { adminKeys: [keys.admin] } },
});
const origin = `http://127.0.0.1:${daemon.controlPort}`;
t.teardown(async () => {
  await browser.close();
  await calls.close();
  await daemon.kill();
  await rm(dir, { recursive: true, force: true });
});

const mine = calls.begin(daemon.media('/twilio'), 'acme', { from: '+49 30 901820', to: '+49 89 23300' });
const numbered = calls.beginNumbered(daemon.media('/jambonz'), 'acme', {
  from: '+49 176 555190',
  to: '+49 30 901821',
});
const theirs = calls.begin(daemon.media('/twilio'), 'other', { from: '+1 555 0100', to: '+1 555 0199' });
const stuck = calls.begin(daemon.media('/twilio'), 'stuck', { from: '+1 555 0142', to: '+1 555 0199' });

interface Live {
  readonly callId: string;
  readonly recordingId: string | null;
}

async function get(path: string, key: string): Promise<Response> {
  return await daemon.get(path, { authorization: `Bearer ${key}` });
}

async function recordingOf(callId: string): Promise<string> {
  return await eventually(`${callId} is recorded`, async () => {
    const { calls: live } = (await (await get('/v1/calls', keys.admin)).json()) as { calls: Live[] };
    return live.find((call) => call.callId === callId)?.recordingId ?? undefined;
  });
}

async function signIn({ page }: Window, key: string): Promise<void> {
  await page.goto('/');
  await page.getByLabel('Key', { exact: true }).fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Views' }).waitFor();
}

/** A window in which somebody is signed in. */
async function openAs(key: string, options: WindowOptions = {}): Promise<Window> {
  const window = await browser.open(origin, options);
  await signIn(window, key);
  return window;
}

/** What the audio element says of itself. */
async function audio(
  window: Window,
): Promise<{ at: number; decoded: number; src: string; paused: boolean; rate: number }> {
  return await window.ask(
    `(({ currentTime, webkitAudioDecodedByteCount, currentSrc, paused, playbackRate }) => (
      { at: currentTime, decoded: webkitAudioDecodedByteCount, src: currentSrc, paused, rate: playbackRate }
    ))(document.querySelector('audio'))`,
  );
}

/** No script failed, nothing was forbidden by the policy, nothing is wider than the screen, and axe finds nothing. */
async function isWell(t: Test, window: Window, name: string): Promise<void> {
  t.same(window.complaints, [], `${name}: no complaints`);
  t.notOk(await window.overflows(), `${name}: not wider than the screen`);
  t.same(await window.accessibilityFaults(), [], `${name}: accessible`);
  await browser.shoot(window, name);
}

const recordingId = await recordingOf(mine.callSid);
const foreignId = await recordingOf(theirs.callSid);
const stuckId = await recordingOf(stuck.callSid);
const desk = await browser.open(origin);
const { page } = desk;

await t.test('somebody signs in with a key, into a cookie that no script sees', async (t) => {
  await page.goto('/');
  await page.getByRole('heading', { name: 'reelay' }).waitFor();
  await isWell(t, desk, 'sign-in');
  await page.getByLabel('Key', { exact: true }).fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'The key is missing or wrong' }).waitFor();
  await signIn(desk, keys.acme);
  const cookies = await desk.context.cookies();
  t.match(cookies, [{ name: 'reelay_session', httpOnly: true, sameSite: 'Strict' }]);
  t.notOk(cookies.some(({ value }) => value.includes(keys.acme)));
  t.equal(await desk.ask('document.cookie'), '');
  t.equal(await desk.ask('localStorage.length + sessionStorage.length'), 0);
  t.equal(await page.getByRole('link', { name: 'System' }).count(), 0, 'which is for administrators');
});

await t.test('they see the call that is up, and how loud both parties are', async (t) => {
  await page.getByRole('link', { name: 'Live' }).click();
  const card = page.getByRole('listitem').filter({ hasText: mine.callSid });
  await page.getByRole('heading', { name: '+49 176 555190 → +49 30 901821' }).waitFor();
  const levels = new Set<string>();
  for (const party of ['caller', 'bot']) {
    const meter = card.getByRole('meter', { name: `Level of the ${party}` });
    await eventually(`the level of the ${party} moves`, async () => {
      levels.add(`${party} ${(await meter.getAttribute('aria-valuenow')) ?? ''}`);
      return [...levels].filter((level) => level.startsWith(party)).length > 3;
    });
  }
  const bar = card.locator('.bar').first();
  const widths = new Set<number>();
  await eventually('the bar moves', async () => {
    widths.add((await bar.boundingBox())?.width ?? 0);
    return widths.size > 3;
  });
  t.equal(await page.getByRole('listitem').count(), 2, 'there is no other account’s call');
  t.notMatch(await page.content(), new RegExp(`${theirs.callSid}|${stuck.callSid}`));
  await isWell(t, desk, 'live');
  await card.getByRole('link', { name: 'Listen' }).click();
  await page.getByRole('group', { name: 'Player' }).waitFor();
});

await t.test('they hear it while it runs, and on past what there was when they began', async (t) => {
  await eventually('there is something to hear', async () => (await audio(desk)).src !== '');
  await page.keyboard.press('Space');
  const begun = await eventually('it plays', async () => {
    const now = await audio(desk);
    return !now.paused && now.at > 0.3 && now.decoded > 0 && now;
  });
  await desk.ask(
    `window.analyser = (() => {
      const context = new AudioContext();
      const analyser = context.createAnalyser();
      context.createMediaElementSource(document.querySelector('audio')).connect(analyser);
      analyser.connect(context.destination);
      return analyser;
    })()`,
  );
  await eventually('what is played is no silence', async () => {
    const loudest = `(() => {
      const samples = new Float32Array(2048);
      window.analyser.getFloatTimeDomainData(samples);
      return Math.max(...samples.map(Math.abs));
    })()`;
    return (await desk.ask<number>(loudest)) > 0.01;
  });
  const to = (src: string): number => Number(new URL(src).searchParams.get('to'));
  // Near to where the call is, so that the end of what there is comes soon.
  await page.keyboard.press('End');
  const near = await eventually('it plays there', async () => {
    const now = await audio(desk);
    return !now.paused && now.at > begun.at + 1 && now;
  });
  const later = await eventually('it goes on with the next piece', async () => {
    const now = await audio(desk);
    return to(now.src) > to(near.src) && now.at > to(near.src) / 8000 && !now.paused && now;
  });
  t.ok(later.at > near.at && later.decoded > 0, `from ${near.at} s to ${later.at} s`);
  t.equal(
    ((await (await get(`/v1/recordings/${recordingId}`, keys.acme)).json()) as { state: string }).state,
    'recording',
  );
  await isWell(t, desk, 'player-live');
});

await t.test('they go anywhere by keyboard and pointer, at their own speed', async (t) => {
  const at = async (seconds: number, within = 1): Promise<void> => {
    await eventually(
      `it is at ${seconds} s`,
      async () => Math.abs((await audio(desk)).at - seconds) < within,
    );
  };
  await page.keyboard.press('k');
  t.ok((await audio(desk)).paused);
  await page.keyboard.press('Home');
  await at(0, 0.05);
  await page.keyboard.press('ArrowRight');
  await at(5, 0.05);
  await page.keyboard.press('ArrowLeft');
  await at(0, 0.05);
  for (let press = 0; press < 2; press++) await page.keyboard.press('+');
  t.equal((await audio(desk)).rate, 1.5);
  await page.keyboard.press('-');
  await page.keyboard.press('-');
  t.equal((await audio(desk)).rate, 1);
  const slider = page.getByRole('slider', { name: 'Position in the recording' });
  const length = Number(await slider.getAttribute('aria-valuemax'));
  const box = await slider.boundingBox();
  await page.mouse.click((box?.x ?? 0) + (box?.width ?? 0) / 4, (box?.y ?? 0) + 80);
  // It has grown by what came meanwhile.
  await at(length / 4, 1.5);
  await page.getByLabel('Who is heard').selectOption('caller only');
  await eventually('only the caller is heard', async () => (await audio(desk)).src.includes('channel=0'));
  await at(length / 4, 1.5);
  await page.getByLabel('Who is heard').selectOption('left and right');
  await slider.focus();
  await page.keyboard.press('ArrowRight');
  t.match(await slider.getAttribute('aria-valuetext'), /second.* of /);
});

await t.test('they see what is missing, and what happened beside the audio', async (t) => {
  const row = page.getByRole('row').filter({ hasText: 'lost by the provider' });
  await row.first().waitFor();
  t.match(await row.first().textContent(), /0\.8 s of caller, silence instead/);
  await row.first().getByRole('button').click();
  await eventually(
    'the player is there',
    async () => Math.abs((await audio(desk)).at - lostMs.fromMs / 1000) < 0.05,
  );
  for (const [what, detail] of [
    ['key pressed', '5'],
    ['mark', 'greeting'],
    ['clear (barge-in)', ''],
  ] as const)
    await page.getByRole('row').filter({ hasText: what }).filter({ hasText: detail }).first().waitFor();
  const gap = await desk.ask<boolean>(
    `(() => {
      const canvas = document.querySelector('.stage canvas');
      const slider = document.querySelector('[role=slider]');
      const scale = canvas.width / canvas.clientWidth;
      const x = (${(lostMs.fromMs + lostMs.toMs) / 2000} / Number(slider.getAttribute('aria-valuemax'))) * canvas.width;
      const { data } = canvas.getContext('2d').getImageData(Math.round(x), 46 * scale, 8, 1);
      // Between the lines of the hatching.
      return [...data].some((red, at) => at % 4 === 0 && red > 240 && data[at + 1] > 190 && data[at + 2] < 140 && data[at + 3] > 60);
    })()`,
  );
  t.ok(gap, 'it is drawn where it is');
  await page.keyboard.press('n');
  await page.keyboard.press('z');
  await page.keyboard.press('z');
  await page.locator('.overview').waitFor();
  await isWell(t, desk, 'player-zoomed');
  await page.keyboard.press('f');
});

await t.test('they pause what is recorded, and it says so', async (t) => {
  await page.getByRole('button', { name: 'Pause, keep time' }).click();
  const resume = page.getByRole('button', { name: 'Resume', exact: true });
  await resume.waitFor();
  await resume.click();
  await page.getByRole('row').filter({ hasText: 'the recording was paused' }).first().waitFor();
  await page.getByRole('button', { name: 'Stop recording' }).click();
  const dialog = page.getByRole('dialog', { name: 'Stop this recording?' });
  await dialog.waitFor();
  await isWell(t, desk, 'dialog');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
});

await t.test('when the call is over they save it, byte for byte', async (t) => {
  await calls.hangUp(mine);
  await page.locator('.badge.complete').waitFor();
  for (const [name, query] of [
    [/^WAV/, ''],
    [/^Opus/, '?format=opus'],
    [/^MP3/, '?format=mp3'],
  ] as const) {
    const coming = page.waitForEvent('download');
    await page.getByRole('link', { name }).click();
    const download = await coming;
    t.match(download.suggestedFilename(), /\.(wav|opus|mp3)$/);
    const saved = await readFile(await download.path());
    const given = Buffer.from(
      await (await get(`/v1/recordings/${recordingId}/audio.wav${query}`, keys.acme)).arrayBuffer(),
    );
    t.equal(sha256(saved), sha256(given), `${name.source}, ${saved.length} bytes`);
  }
  await page.getByText('Chunks', { exact: true }).click();
  t.ok((await page.getByRole('link', { name: /^\d+\.wav$/ }).count()) > 2);
  await isWell(t, desk, 'player-complete');
});

await t.test('they share it with somebody without a key, hold it, and can’t delete it then', async (t) => {
  await page.getByRole('button', { name: 'Make a link' }).click();
  const link = page.getByLabel('The link');
  await link.waitFor();
  const shared = await fetch(await link.inputValue());
  t.equal(shared.status, 200);
  t.equal(shared.headers.get('content-type'), 'audio/wav');
  await shared.arrayBuffer();
  await page.getByRole('button', { name: 'Hold', exact: true }).click();
  await page.getByLabel('Why').fill('a complaint');
  await page.getByRole('dialog').getByRole('button', { name: 'Hold' }).click();
  await page.getByText('a complaint').waitFor();
  t.equal(await page.getByRole('button', { name: 'Delete' }).count(), 0);
  t.equal((await get(`/v1/recordings/${recordingId}/hold`, keys.acme)).status, 200);
  await page.getByRole('button', { name: 'Release hold' }).click();
  await page.getByRole('button', { name: 'Delete' }).waitFor();
});

await t.test('they find it by its number', async (t) => {
  await page.getByRole('link', { name: 'Recordings' }).click();
  const row = page.getByRole('row').filter({ hasText: mine.callSid });
  await row.waitFor();
  await page.getByLabel('Search').fill('49 (30) 9018 21');
  await row.waitFor({ state: 'detached' });
  await page.getByRole('row').filter({ hasText: numbered.callSid }).waitFor();
  t.match(new URL(page.url()).hash, /search=49/);
  await page.getByLabel('Search').fill('nobody');
  await page.getByText('No recording matches').waitFor();
  await page.getByLabel('Search').fill('');
  await row.waitFor();
  await isWell(t, desk, 'recordings');
});

await t.test('they see nothing of another account', async (t) => {
  const seen = (await page.content()) + ((await page.locator('main').textContent()) ?? '');
  t.notMatch(seen, new RegExp([theirs.callSid, foreignId, stuckId].join('|')));
  await page.getByLabel('Search').fill(theirs.callSid);
  await page.getByText('No recording matches').waitFor();
  for (const path of ['', '/audio.wav', '/waveform.json', '/segments.json', '/hold', '/chunks/0.wav'])
    t.equal((await desk.context.request.get(`/v1/recordings/${foreignId}${path}`)).status(), 404, path);
  t.equal((await desk.context.request.get('/v1/system')).status(), 404);
  await page.goto(`/#/recordings/${foreignId}`);
  await page.getByRole('alert').filter({ hasText: 'There is nothing under this name' }).waitFor();
  t.equal(await page.locator('audio[src]').count(), 0);
  await page.goto('/#/system');
  await page.getByRole('heading', { name: 'Recordings' }).waitFor();
  await browser.shoot(desk, 'foreign');
});

await t.test('whoever may only read is offered no more', async (t) => {
  const reader = await openAs(keys.reader);
  await reader.page.goto(`/#/recordings/${recordingId}`);
  await reader.page.getByRole('link', { name: /^WAV/ }).waitFor();
  t.equal(await reader.page.getByRole('button', { name: /Delete|Hold/ }).count(), 0);
  t.same(reader.complaints, []);
  await reader.context.close();
});

await t.test('an administrator sees how the daemon is, and what is stuck and why', async (t) => {
  await calls.hangUp(stuck);
  const admin = await openAs(keys.admin);
  await admin.page.getByRole('link', { name: 'Live' }).click();
  await admin.page.getByText('reelay adds, p50: to the bot').waitFor();
  await admin.page.getByRole('link', { name: 'System' }).click();
  const row = admin.page.getByRole('row').filter({ hasText: stuck.callSid });
  await row.waitFor();
  t.match(await row.textContent(), /store_unavailable/);
  await isWell(t, admin, 'system');
  await row.getByRole('link').click();
  await admin.page.getByText(/^store_unavailable: /).waitFor();
  await eventually('its audio is heard all the same', async () => (await audio(admin)).src !== '');
  await isWell(t, admin, 'player-stuck');
  await admin.page.goto('/#/recordings');
  await admin.page.getByRole('row').filter({ hasText: stuck.callSid }).waitFor();
  await isWell(t, admin, 'recordings-admin');
  await admin.context.close();
});

for (const [name, options] of [
  ['dark', { colours: 'dark' }],
  ['phone', { width: 360, height: 740, isStill: true }],
  ['phone-dark', { width: 360, height: 740, colours: 'dark', isStill: true }],
] as const) {
  await t.test(`every view is as well on ${name}`, async (t) => {
    const out = await browser.open(origin, options);
    await out.page.goto('/');
    await out.page.getByLabel('Key', { exact: true }).waitFor();
    await isWell(t, out, `sign-in-${name}`);
    await out.context.close();
    const window = await openAs(keys.admin, options);
    const views = [
      ['live', '/#/calls', window.page.getByRole('meter').first()],
      ['recordings', '/#/recordings', window.page.getByRole('row').nth(1)],
      ['player', `/#/recordings/${recordingId}`, window.page.getByRole('link', { name: /^WAV/ })],
      ['player-live', `/#/recordings/${foreignId}`, window.page.getByRole('button', { name: 'Go to live' })],
      ['system', '/#/system', window.page.getByRole('heading', { name: 'Threads' })],
    ] as const;
    for (const [view, path, sign] of views) {
      await window.page.goto(path);
      await sign.waitFor();
      await isWell(t, window, `${view}-${name}`);
    }
    await window.context.close();
  });
}

await t.test('who deletes a recording sees it gone, and who signs out sees nothing', async (t) => {
  await page.goto(`/#/recordings/${recordingId}`);
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('The recording is deleted.').waitFor();
  t.equal((await get(`/v1/recordings/${recordingId}`, keys.acme)).status, 410);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Key', { exact: true }).waitFor();
  t.same(await desk.context.cookies(), []);
  t.equal((await desk.context.request.get('/v1/recordings')).status(), 401);
  await page.goto('/#/recordings');
  await page.getByLabel('Key', { exact: true }).waitFor();
  t.same(desk.complaints, []);
});

for (const path of browser.shots) t.comment(path);

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
