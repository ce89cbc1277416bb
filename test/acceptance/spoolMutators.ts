import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

export interface Mutation {
  readonly spoolDir: string;
  /** Any file, and any other one, perhaps the same. */
  readonly file: string;
  readonly other: string;
  readonly random: () => number;
  readonly number: number;
}

type Mutator = (mutation: Mutation) => void;

/** What somebody, or a disk, may do to a spool. Where audio is destroyed here, it is before anybody looks. */
export const mutators: Readonly<Record<string, Mutator>> = {
  truncate: ({ file, random }) => truncateSync(file, Math.floor(lstatSync(file).size * random())),
  empty: ({ file }) => truncateSync(file, 0),
  flip: ({ file, random }) =>
    rewrite(file, (bytes) => {
      const at = Math.floor(bytes.length * random());
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    }),
  'flip in the header': ({ file, random }) =>
    rewrite(file, (bytes) => {
      const at = Math.floor(Math.min(44, bytes.length) * random());
      bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    }),
  'zero a sector': ({ file, random }) =>
    rewrite(file, (bytes) => {
      const at = Math.floor((bytes.length / 512) * random()) * 512;
      bytes.fill(0, at, Math.min(bytes.length, at + 512));
    }),
  append: ({ file }) => appendFileSync(file, 'something that came behind it'),
  duplicate: ({ file }) =>
    cpSync(
      file,
      file.replace(/(\d+)(?=\D*$)/, (digits) => `${Number(digits) + 1}`),
    ),
  rename: ({ file, number }) => renameSync(file, join(dirname(file), `renamed-${number}`)),
  swap: ({ file, other, spoolDir }) => {
    const between = join(spoolDir, 'between');
    renameSync(file, between);
    if (existsSync(other)) renameSync(other, file);
    renameSync(between, other);
  },
  'swap with its like': ({ file, random, spoolDir }) => {
    const like = filesBelow(spoolDir).filter(
      (path) => basename(path) === basename(file) && !isFirst(path) && path !== file,
    );
    const other = like[Math.floor(random() * like.length)];
    if (other !== undefined) mutators['swap']?.({ spoolDir, file, other, random, number: 0 });
  },
  'delete what is no audio': ({ file }) => {
    if (!file.includes('.wav') && !file.endsWith('.journal')) unlinkSync(file);
  },
  'delete every document': ({ file }) => {
    for (const name of readdirSync(dirname(file)))
      if (name.endsWith('.json')) unlinkSync(join(dirname(file), name));
  },
  'delete what daemons left': ({ spoolDir }) => {
    for (const path of filesBelow(join(spoolDir, '.reelay')))
      if (path.endsWith('.checkpoint')) unlinkSync(path);
  },
  'another type': ({ file, random }) => {
    if (!file.endsWith('.json')) return;
    const odd = ['[]', '"text"', 'null', '{"__proto__":{"schema":1},"schema":1}', '['.repeat(100_000)];
    writeFileSync(file, odd[Math.floor(random() * odd.length)] ?? '');
  },
  'huge numbers': ({ file }) =>
    rewriteText(file, (text) =>
      text.replace(/: (\d+)/g, (_all, digits: string) => `: ${digits}000000000000`),
    ),
  'keys of a prototype': ({ file }) =>
    rewriteText(file, (text) => text.replace('{', '{"__proto__": {"finished": true}, "constructor": {},')),
  'another schema': ({ file }) => rewriteText(file, (text) => text.replace(/"schema": ?\d/, '"schema": 99')),
  'a link': ({ file }) => {
    renameSync(file, `${file}.moved`);
    symlinkSync('/etc/hostname', file);
  },
  'a pipe': ({ file }) => {
    renameSync(file, `${file}.moved`);
    execFileSync('mkfifo', [file]);
  },
  'a folder': ({ file }) => {
    renameSync(file, `${file}.moved`);
    mkdirSync(join(file, 'with', 'something'), { recursive: true });
  },
  'temporary names taken': ({ file }) => mkdirSync(`${file}.tmp`, { recursive: true }),
  'foreign files': ({ file, spoolDir }) => {
    for (const dir of [spoolDir, dirname(file), join(spoolDir, '.reelay')])
      writeFileSync(join(dir, 'README'), 'do not touch');
    writeFileSync(join(spoolDir, 'AC-c'), 'an account that is a file');
  },
  'foreign folders': ({ spoolDir }) => {
    mkdirSync(join(spoolDir, '.reelay', 'foreign', 'journal', 'deep'), { recursive: true });
    writeFileSync(join(spoolDir, '.reelay', 'foreign', 'journal', 'notes'), 'of somebody');
    mkdirSync(join(spoolDir, ...Array.from({ length: 300 }, () => 'deep')), { recursive: true });
  },
  'a link to another account': ({ spoolDir }) => {
    if (!existsSync(join(spoolDir, 'AC-d'))) symlinkSync(join(spoolDir, 'AC-a'), join(spoolDir, 'AC-d'));
  },
  'moved to another account': ({ file, spoolDir }) => {
    const parts = relative(spoolDir, file).split('/');
    if (parts[0] !== 'AC-a' || parts.length < 5) return;
    const folder = parts.slice(1, 4).join('/');
    mkdirSync(join(spoolDir, 'AC-b', dirname(folder)), { recursive: true });
    renameSync(join(spoolDir, 'AC-a', folder), join(spoolDir, 'AC-b', folder));
  },
  'copied to another call': ({ file, spoolDir }) => {
    const parts = relative(spoolDir, file).split('/');
    if (parts[0] === '.reelay' || parts.length < 5) return;
    const [account = '', date = '', , recording = ''] = parts;
    const filter = (path: string): boolean => !lstatSync(path).isFIFO();
    cpSync(dirname(file), join(spoolDir, account, date, 'CA-copy', recording), { recursive: true, filter });
  },
};

/** The recording that is spared is the first. */
function isFirst(path: string): boolean {
  return path.includes('000000000001/');
}

function rewrite(file: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(file);
  change(bytes);
  writeFileSync(file, bytes);
}

function rewriteText(file: string, change: (text: string) => string): void {
  if (file.endsWith('.json')) writeFileSync(file, change(readFileSync(file, 'utf8')));
}

/** Plain files, links not followed. */
export function filesBelow(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}
