import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DamagedSpool } from './DamagedSpool.js';

/*
 * Damages spools in every way that somebody or a disk may find, and starts on them:
 *
 *     npm run test:spool -- [cases] [seed]
 *
 * Exit 1 when something doesn't start, loses audio, or gives it to another account. A case's seed repeats it.
 */
const cases = Number(process.argv[2] ?? 200);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
console.log(`${cases} spools, from seed ${seed}`);

const dir = await mkdtemp(join(tmpdir(), 'reelay-spool-'));
// The uploader's pauses keep no process up by themselves.
const alive = setInterval(() => undefined, 1000);
const startMs = performance.now();
let [wrong, aside] = [0, 0];
for (let number = 0; number < cases; number++) {
  const home = join(dir, String(number));
  const found = await DamagedSpool.run(home, seed + number);
  aside += found.aside;
  if (found.problems.length > 0) {
    wrong++;
    console.log(`seed ${found.seed}: ${found.mutations.join('; ')}`);
    for (const problem of found.problems) console.log(`  ${problem}`);
  }
  await rm(home, { recursive: true, force: true });
}
clearInterval(alive);
await rm(dir, { recursive: true, force: true });
const tookSeconds = ((performance.now() - startMs) / 1000).toFixed(0);
console.log(`${cases} spools in ${tookSeconds} s, ${aside} things set aside; problems in ${wrong}`);
process.exitCode = wrong === 0 ? 0 : 1;
