import { createHash } from 'node:crypto';
import { samplesOf } from '../../src/audio/pcm.js';
import { wavHeader, wavHeaderBytes, wholeHeaderBytes, wholeWavHeader } from '../../src/audio/wav.js';
import { documentSchemas } from '../../src/spool/documentSchemas.js';
import { chunkName, manifestName, sidecarName } from '../../src/spool/layout.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { numberedIn } from './NumberedCall.js';
import type { Tenant, TenantCall } from './StoreRun.js';

/** A recording as its bucket shows it: nothing here asks the daemon. */
interface Found {
  readonly manifest: Manifest;
  /** With a slash at its end. */
  readonly folder: string;
}

/** What is wrong in an account's bucket, from the calls that were made; nothing, if all is well. */
export async function judgeTenant(tenant: Tenant): Promise<string[]> {
  const problems: string[] = [];
  const objects = await tenant.bucket.objects();
  for (const key of await tenant.bucket.openUploads()) problems.push(`an upload of ${key} is still open`);
  const expected = new Set<string>();
  const manifests = [...objects.keys()].filter((key) => key.endsWith(`/${manifestName}`));
  const found: Found[] = [];
  for (const key of manifests) {
    const document: unknown = JSON.parse((await tenant.bucket.read(key)).toString());
    const manifest = documentSchemas.manifest.parse(document);
    const folder = key.slice(0, -manifestName.length);
    found.push({ manifest, folder });
    for (const name of keysOf(manifest, folder, tenant.prefix)) expected.add(name);
  }
  for (const key of objects.keys()) if (!expected.has(key)) problems.push(`${key} belongs to no recording`);
  for (const key of expected) if (!objects.has(key)) problems.push(`${key} is missing`);
  for (const each of tenant.calls) {
    const own = found.filter(({ manifest }) => manifest.callId === each.call.options.callSid);
    problems.push(...(await callProblems(tenant, each, own)));
  }
  const known = new Set(tenant.calls.map(({ call }) => call.options.callSid));
  for (const { manifest, folder } of found) {
    if (!known.has(manifest.callId)) problems.push(`${folder} is of a call that was never made`);
    if (manifest.accountId !== tenant.id) problems.push(`${folder} is of account ${manifest.accountId}`);
    if (!folder.startsWith(`${tenant.prefix}${tenant.id}/`))
      problems.push(`${folder} lies in the wrong place`);
  }
  return problems.map((problem) => `${tenant.id}: ${problem}`);
}

/** Every object that a recording must have, and no other. */
function keysOf(manifest: Manifest, folder: string, prefix: string): string[] {
  const { layout = 'chunks', chunks, audio = [] } = manifest;
  const hasChunks = layout === 'chunks' || layout === 'both';
  return [
    folder + manifestName,
    ...chunks.map(({ index }) => folder + sidecarName(index)),
    ...(hasChunks ? chunks.map(({ index }) => folder + chunkName(index)) : []),
    ...audio.map(({ key }) => prefix + key),
  ];
}

async function callProblems(tenant: Tenant, one: TenantCall, found: readonly Found[]): Promise<string[]> {
  const { call, required, whole } = one;
  const [own] = found;
  const name = `${one.record ? 'record ' : ''}${call.options.callSid} of life ${one.life}`;
  if (own === undefined)
    return required === 0 ? [] : [`${name}: no recording, ${required} samples were taken`];
  if (found.length > 1) return [`${name}: ${found.length} recordings`];
  const problems: string[] = [];
  const { manifest, folder } = own;
  if (whole ? manifest.state !== 'complete' : !['complete', 'interrupted'].includes(manifest.state))
    problems.push(`${manifest.state} (${manifest.reason})`);
  // Between the last sample and the end of the call there may have been time; in between nothing was left out.
  const gaps = manifest.gaps.filter(({ startSample }) => startSample < required);
  if (gaps.length > 0) problems.push(`gaps: ${JSON.stringify(gaps.slice(0, 4))}`);
  const layout = manifest.layout ?? 'chunks';
  if (layout !== (one.record ? 'jambonz' : tenant.layout)) problems.push(`layout ${layout}`);
  if (layout === 'chunks' || layout === 'both') {
    const audio = await chunkAudio(tenant, folder, manifest, problems);
    if (audio !== null) problems.push(...audioProblems('chunks', one, audio));
  }
  if (layout !== 'chunks') problems.push(...(await wholeProblems(tenant, one, manifest)));
  const end = `${layout} ${manifest.state} ${manifest.reason ?? ''}`;
  return problems.map((problem) => `${name} (${end}): ${problem}`);
}

/** The chunks' audio, one after the other, each with the header and the sums that it must have. */
async function chunkAudio(
  tenant: Tenant,
  folder: string,
  manifest: Manifest,
  problems: string[],
): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  const { sampleRate, channels } = manifest;
  for (const { index, samples, sha256 } of manifest.chunks) {
    const bytes = await tenant.bucket.read(folder + chunkName(index)).catch(() => null);
    // That it is missing is said already.
    if (bytes === null) return null;
    const header = wavHeader({ sampleRate, channels: channels.length, samples });
    if (sha256Of(bytes) !== sha256) problems.push(`chunk ${index} is not the one that was sealed`);
    if (!bytes.subarray(0, wavHeaderBytes).equals(header)) problems.push(`chunk ${index} has another header`);
    parts.push(bytes.subarray(wavHeaderBytes));
  }
  return Buffer.concat(parts);
}

async function wholeProblems(tenant: Tenant, one: TenantCall, manifest: Manifest): Promise<string[]> {
  const problems: string[] = [];
  const { audio = [], channels, sampleRate, samples } = manifest;
  if (audio.length === 0) return samples === 0 ? [] : ['the manifest names no whole audio'];
  for (const [place, { key, format, bytes, sha256 }] of audio.entries()) {
    const object = await tenant.bucket.read(tenant.prefix + key);
    if (object.length !== bytes || sha256Of(object) !== sha256)
      problems.push(`${key} is not what the manifest says`);
    if (place > 0) continue;
    if (format !== 'wav') problems.push(`the first whole audio is ${format}`);
    const header = wholeWavHeader({ sampleRate, channels: channels.length, samples });
    if (!object.subarray(0, wholeHeaderBytes).equals(header)) problems.push(`${key} has another header`);
    problems.push(...audioProblems(key, one, object.subarray(wholeHeaderBytes)));
  }
  return problems;
}

/** Every sample once, at its place, as many as were taken, and none that wasn't said. */
function audioProblems(what: string, { call, required, whole }: TenantCall, audio: Buffer): string[] {
  const pcm = samplesOf(Uint8Array.from(audio));
  const { seed } = call.options;
  const [left, right] = [numberedIn(pcm, seed, 0), numberedIn(pcm, seed, 1)];
  const problems = [left.problem, right.problem].filter((problem) => problem !== null);
  if (left.samples !== right.samples || left.before !== right.before)
    problems.push('the channels have slipped');
  if (left.samples < required) problems.push(`${left.samples} samples of ${required} that were taken`);
  if (left.samples > call.sent || (whole && left.samples !== call.sent)) {
    problems.push(`${left.samples} samples of ${call.sent} that were sent`);
  }
  return problems.map((problem) => `${what}: ${problem}`);
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
