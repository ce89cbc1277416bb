import { readFile } from 'node:fs/promises';
import { readPrompts } from '../audio/Prompt.js';
import type { Config } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import { signingKeyIn } from '../spool/ManifestSignature.js';
import { type Check, failed, type Findings, ok, reasonOf } from './Check.js';

/** Files that the configuration names and a daemon reads at its start. */
export async function fileChecks({ prompts, recording }: Config): Promise<Check[]> {
  const played = Object.entries(prompts).map(async ([name, prompt]): Promise<Check> => {
    const subject = `${name}: ${prompt.file ?? ''}`;
    return { name: 'prompt', subject, ...(await findingsOf(async () => await lengthOf({ [name]: prompt }))) };
  });
  const { signingKeyFile } = recording;
  if (signingKeyFile === null) return await Promise.all(played);
  const key = findingsOf(async () => {
    signingKeyIn(await readFile(signingKeyFile, 'utf8'));
    return 'Ed25519';
  }).then((findings): Check => ({ name: 'signing key', subject: signingKeyFile, ...findings }));
  return await Promise.all([...played, key]);
}

async function lengthOf(prompts: Config['prompts']): Promise<string> {
  const [name = ''] = Object.keys(prompts);
  const bytes = (await readPrompts(prompts))[name]?.samples[8000]?.byteLength ?? 0;
  return `${(bytes / 2 / 8000).toFixed(1)} s`;
}

async function findingsOf(look: () => Promise<string>): Promise<Findings> {
  try {
    return ok(await look());
  } catch (error) {
    const remedy = error instanceof ReelayError ? error.remedy : undefined;
    return failed(reasonOf(error), remedy ?? 'Check the path and its permissions.');
  }
}
