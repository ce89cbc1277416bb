import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** A file as a browser gets it. */
export interface PageFile {
  readonly type: string;
  readonly body: Buffer;
  readonly zipped: Buffer;
  /** As the header has it; weak, since it stands for the file zipped or not. */
  readonly etag: string;
  /** Its address names its content: what is there once is there for good. */
  readonly isLasting: boolean;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const startPage = 'index.html';

/**
 * The page's files by the path that they are served under, read once. Everything but the start page lies below the hash of it all, so
 * that a browser keeps it for as long as it likes and never mixes two versions.
 *
 * @param folder - where the build put them
 * @returns none where nothing was built
 * @throws the file system's error, for what is there and can't be read
 */
export function pageFiles(folder: string): ReadonlyMap<string, PageFile> {
  const named = namesIn(folder).map((name) => ({ name, body: readFileSync(join(folder, name)) }));
  const version = hashOf(Buffer.concat(named.map(({ body }) => body))).slice(0, 12);
  const modules = named.map(({ name }) => name).filter((name) => name.endsWith('.js'));
  const files = named.map(({ name, body }): [string, PageFile] =>
    name === startPage
      ? ['/', fileOf(name, startPageOf(body.toString(), version, modules), false)]
      : [`/page/${version}/${name}`, fileOf(name, body, true)],
  );
  return new Map(files);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => extname(name) in types)
      .sort();
  } catch {
    return [];
  }
}

/** With the addresses as they are served, and all modules named, which a browser else learns of one import after the other. */
function startPageOf(html: string, version: string, modules: readonly string[]): Buffer {
  const named = modules.map((name) => `<link rel="modulepreload" href="page/${name}">`).join('\n    ');
  return Buffer.from(html.replace('<!-- modules -->', named).replaceAll('="page/', `="page/${version}/`));
}

function fileOf(name: string, body: Buffer, isLasting: boolean): PageFile {
  const etag = `W/"${hashOf(body).slice(0, 24)}"`;
  const type = types[extname(name)] ?? 'application/octet-stream';
  return { type, body, zipped: gzipSync(body, { level: 9 }), etag, isLasting };
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
