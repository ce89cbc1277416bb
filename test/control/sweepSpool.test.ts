import { existsSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { sweepSpool } from '../../src/control/uploads/sweepSpool.js';

await t.test(
  'old temporary files and empty folders go; what is young, live or anything else stays',
  async (t) => {
    const dir = t.testdir({});
    const put = async (name: string, ageMinutes: number) => {
      const path = join(dir, name);
      await mkdir(join(path, '..'), { recursive: true });
      await writeFile(path, 'x');
      const at = new Date(Date.now() - ageMinutes * 60_000);
      await utimes(path, at, at);
      return path;
    };
    const day = 'AC1/20261120/CA1';
    const swept = await put(`${day}/gone/manifest.json.tmp`, 61);
    await put(`${day}/gone/audio.wav.tmp`, 90);
    await put(`${day}/gone/portal.mp3.part`, 90);
    const kept = [
      await put(`${day}/gone/upload.json.tmp`, 59),
      await put(`${day}/gone/0-audio.wav`, 600),
      await put(`${day}/gone/0-audio.wav.open`, 600),
      await put(`${day}/live/manifest.json.tmp`, 61),
      await put('.reelay/d/checkpoints/r.checkpoint.tmp', 61),
    ];
    for (const [name, ageMinutes] of [
      ['empty', 61],
      ['new', 59],
    ] as const) {
      await mkdir(join(dir, day, name));
      const at = new Date(Date.now() - ageMinutes * 60_000);
      await utimes(join(dir, day, name), at, at);
    }
    const hours = (count: number) => Date.now() - count * 3_600_000;
    t.strictSame(await sweepSpool(dir, () => false, hours(2)), [], 'what was made since the start is in use');
    t.strictSame((await sweepSpool(dir, (folder) => folder.endsWith('/live'), Date.now())).sort(), [
      `${day}/gone/audio.wav.tmp`,
      `${day}/gone/manifest.json.tmp`,
      `${day}/gone/portal.mp3.part`,
    ]);
    t.notOk(existsSync(swept));
    t.notOk(existsSync(join(dir, day, 'empty')));
    t.ok(existsSync(join(dir, day, 'new')), 'somebody may be about to write there');
    for (const path of kept) t.ok(existsSync(path), path);
    t.strictSame(await sweepSpool(join(dir, 'nowhere'), () => false, Date.now()), []);
  },
);
