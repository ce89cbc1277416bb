import { createHash } from 'node:crypto';
import { decodeCheckpoint } from '../../../src/recorder/Checkpoint.js';
import type { ZodType } from 'zod';
import { documentSchemas } from '../../../src/spool/documentSchemas.js';
import { manifestName, uploadName } from '../../../src/spool/layout.js';
import { pathsIn, type Tree } from './DiskModel.js';

interface NotedChunk {
  readonly index: number;
  readonly sha256: string;
  readonly sidecarSha256: string;
  readonly sidecarStored: boolean;
}

/**
 * What is wrong with the files of a daemon before any daemon has looked at them: a name that a file gets only when it is final
 * must hold something that can be read and is what others say of it, and what is noted as stored must be in the store.
 *
 * @param tree - with `spool` and `recordings`, the store, in it
 */
export function treeProblems(tree: Tree): string[] {
  const files = new Map(
    [...pathsIn(tree)].flatMap(([path, content]) => (content === null ? [] : [[path, content]])),
  );
  const problems: string[] = [];
  for (const [path, content] of files) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const folder = path.slice(0, -name.length);
    if (name === manifestName) problems.push(...documentProblems(path, content, documentSchemas.manifest));
    if (name === 'manifest.final.json')
      problems.push(...documentProblems(path, content, documentSchemas.manifest));
    if (name.endsWith('-metadata.json')) problems.push(...sidecarProblems(path, content, files));
    if (name === uploadName) problems.push(...noteProblems(path, folder, content, files));
    if (name.endsWith('.checkpoint')) problems.push(...checkpointProblems(path, content));
  }
  return problems;
}

function documentProblems(path: string, content: Buffer, schema: ZodType): string[] {
  try {
    schema.parse(JSON.parse(content.toString()));
    return [];
  } catch {
    return [`${path} can't be read`];
  }
}

function sidecarProblems(path: string, content: Buffer, files: ReadonlyMap<string, Buffer>): string[] {
  const problems = documentProblems(path, content, documentSchemas.sidecar);
  if (problems.length > 0) return problems;
  const { sha256 } = JSON.parse(content.toString()) as { sha256: string };
  const wav = files.get(path.replace(/metadata\.json$/, 'audio.wav'));
  return wav === undefined || sha256Of(wav) === sha256 ? [] : [`${path} speaks of other audio`];
}

/** Whatever is noted must be in the store; a WAV that went with the whole call is in there. */
function noteProblems(
  path: string,
  folder: string,
  content: Buffer,
  files: ReadonlyMap<string, Buffer>,
): string[] {
  let note: { chunks: NotedChunk[]; audio: { key: string; sha256: string }[]; finished: boolean };
  try {
    note = JSON.parse(content.toString()) as typeof note;
  } catch {
    return [`${path} can't be read`];
  }
  const there = folder.replace(/^spool/, 'recordings');
  const said: [string, string][] = note.audio.map(({ key, sha256 }) => [`recordings/${key}`, sha256]);
  const isWhole = note.audio.length > 0;
  for (const { index, sha256, sidecarSha256, sidecarStored } of note.chunks) {
    if (!isWhole) said.push([`${there}${index}-audio.wav`, sha256]);
    if (sidecarStored) said.push([`${there}${index}-metadata.json`, sidecarSha256]);
  }
  const problems = said.flatMap(([object, sha256]) => {
    const stored = files.get(object);
    if (stored === undefined) return [`${object} is noted as stored and isn't there`];
    return sha256Of(stored) === sha256 ? [] : [`${object} isn't what was noted as stored`];
  });
  if (note.finished && !files.has(there + manifestName)) problems.push(`${there} has no final manifest`);
  return problems;
}

function checkpointProblems(path: string, content: Buffer): string[] {
  try {
    decodeCheckpoint(content);
    return [];
  } catch {
    return [`${path} can't be read`];
  }
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
