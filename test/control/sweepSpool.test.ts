import { existsSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { sweepSpool } from '../../src/control/sweepSpool.js';

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
    t.strictSame(await sweepSpool(dir, (id) => id === 'live'), [`${day}/gone/manifest.json.tmp`]);
    t.notOk(existsSync(swept));
    t.notOk(existsSync(join(dir, day, 'empty')));
    t.ok(existsSync(join(dir, day, 'new')), 'somebody may be about to write there');
    for (const path of kept) t.ok(existsSync(path), path);
    t.strictSame(await sweepSpool(join(dir, 'nowhere'), () => false), []);
  },
);
