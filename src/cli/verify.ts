import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { Command } from 'commander';
import type { RecordingLayout, RecordingState } from '../spool/Manifest.js';
import type { RecordingFolder } from '../spool/RecordingFolder.js';
import { finding } from '../spool/Finding.js';
import { manifestName, signatureName } from '../spool/layout.js';
import { isSignedBy, publicKeyIn } from '../spool/ManifestSignature.js';
import { type Finding, findingCodes, verify } from '../spool/Verification.js';
import { patiently } from './patiently.js';
import { exitCodeOf, type Output, takesRecordings, withRecordings } from './recordingTarget.js';
import type { SearchOptions } from './SearchedPlaces.js';
import { textTable } from './textTable.js';

/** What `verify --json` prints per recording. Null where the manifest can't be read. */
export interface Verdict {
  readonly recordingId: string;
  /** Paths, or URLs of buckets. */
  readonly folders: readonly string[];
  readonly state: RecordingState | null;
  readonly reason: string | null;
  readonly layout: RecordingLayout | null;
  readonly durationSeconds: number | null;
  readonly chunks: number;
  readonly gaps: number | null;
  readonly completeness: readonly number[] | null;
  /** No findings: every file is there, unchanged and consistent. */
  readonly whole: boolean;
  readonly findings: readonly Finding[];
}

export interface VerifyOptions extends SearchOptions {
  readonly json?: boolean;
  /** Files of public keys, PEM. */
  readonly publicKey?: readonly string[];
}

/** `reelay verify`, on disks and in buckets: exit 0 when every recording is whole, 1 with a table of findings when not, 2 when none could be looked at. */
export function verifyCommand(): Command {
  return takesRecordings(new Command('verify'))
    .description('checks recordings whole: headers, sidecars, hash chain, gaps, duration against the call')
    .option('--json', 'prints the findings as JSON')
    .option('--public-key <file...>', 'PEM; every manifest has to be signed by one of these')
    .action(async (target: string, options: VerifyOptions) => {
      process.exitCode = await runVerify(target, options);
    });
}

/** @returns the exit code */
export async function runVerify(
  target: string,
  options: VerifyOptions,
  output: Output = process.stdout,
  errors: Output = process.stderr,
): Promise<number> {
  return await exitCodeOf(async () => {
    const keys = options.publicKey?.map((file) => publicKeyIn(readFileSync(file, 'utf8'))) ?? null;
    const verdicts: Verdict[] = [];
    await withRecordings(target, options, async (found) => {
      for (const folder of found) verdicts.push(await patiently(() => verdictOn(folder, keys)));
    });
    output.write(options.json === true ? `${JSON.stringify(verdicts, null, 2)}\n` : report(verdicts));
    return verdicts.every((verdict) => verdict.whole) ? 0 : 1;
  }, errors);
}

/**
 * Reads and checks one recording.
 *
 * @param keys - one of them has to have signed the manifest; null: it needn't be signed
 */
export async function verdictOn(
  folder: RecordingFolder,
  keys: readonly KeyObject[] | null = null,
): Promise<Verdict> {
  const recording = await folder.read();
  const manifest = recording.manifest?.value;
  const findings = [...(keys === null ? [] : await signatureFindings(folder, keys)), ...verify(recording)];
  return {
    recordingId: recording.recordingId,
    folders: folder.paths,
    state: manifest?.state ?? null,
    reason: manifest?.reason ?? null,
    layout: manifest ? (manifest.layout ?? 'chunks') : null,
    durationSeconds: manifest?.durationSeconds ?? null,
    chunks: recording.chunks.length,
    gaps: manifest?.gaps.length ?? null,
    completeness: manifest?.completeness ?? null,
    whole: findings.length === 0,
    findings,
  };
}

async function signatureFindings(folder: RecordingFolder, keys: readonly KeyObject[]): Promise<Finding[]> {
  const [manifest, signature] = await Promise.all(
    [manifestName, signatureName].map((name) => bytesIn(folder, name)),
  );
  if (manifest == null) return [];
  if (signature == null) return [finding('signature_missing', manifestName)];
  return isSignedBy(manifest, signature, keys) ? [] : [finding('signature_wrong', manifestName)];
}

async function bytesIn(folder: RecordingFolder, name: string): Promise<Buffer | null> {
  const pieces = await folder.open(name);
  return pieces === null ? null : await buffer(pieces);
}

function report(verdicts: readonly Verdict[]): string {
  const heading = ['RECORDING', 'STATE', 'SECONDS', 'CHUNKS', 'COMPLETE', 'GAPS', 'RESULT'];
  const overview = textTable([heading, ...verdicts.map(overviewRow)]);
  const rows = verdicts.flatMap((verdict) =>
    verdict.findings.map(({ code, where, detail }) => [
      verdict.recordingId,
      where,
      code,
      detail === '' ? findingCodes[code] : `${findingCodes[code]}: ${detail}`,
    ]),
  );
  if (rows.length === 0) return `${overview}\n`;
  return `${overview}\n\n${textTable([['RECORDING', 'FILE', 'FINDING', 'WHAT IS OFF'], ...rows])}\n`;
}

function overviewRow(verdict: Verdict): string[] {
  const count = verdict.findings.length;
  const wholeText = verdict.state === 'interrupted' ? 'whole as far as it goes' : 'whole';
  return [
    verdict.recordingId,
    verdict.state ?? '?',
    verdict.durationSeconds?.toFixed(3) ?? '?',
    String(verdict.chunks),
    verdict.completeness?.map(percent).join(' / ') ?? '?',
    verdict.gaps === null ? '?' : String(verdict.gaps),
    verdict.whole ? wholeText : `${count} ${count === 1 ? 'finding' : 'findings'}`,
  ];
}

/** Rounded down, so that nothing that lacks a sample is called 100 %. */
function percent(share: number): string {
  return `${Math.floor(share * 100_000) / 1000} %`;
}
