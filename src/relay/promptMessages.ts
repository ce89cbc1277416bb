import { PromptForms } from '../audio/PromptForms.js';
import type { AccountConfig } from '../config/Config.js';
import type { PlayMessage, StartEvent } from '../providers/Dialect.js';
import type { Admitted } from './Admission.js';

/**
 * The messages that play a prompt to the caller of a stream on which a bot may talk.
 *
 * @param name - of the prompt
 * @returns null where the stream can't be played to
 */
export function promptMessages(
  name: string,
  { config, dialect }: Admitted,
  { jambonz }: AccountConfig,
  { streamId, sampleRate }: StartEvent,
): readonly PlayMessage[] | null {
  const prompt = config.prompts[name];
  if (prompt === undefined) return null;
  const forms = PromptForms.of(prompt);
  return dialect.play({ streamId, sampleRate, jambonz }, (rate, form) => forms.at(rate, form));
}
