import t from 'tap';
import { readPrompts } from '../../src/audio/Prompt.js';
import { PromptForms } from '../../src/audio/PromptForms.js';
import type { Prompt } from '../../src/config/Config.js';

async function configured(): Promise<Prompt> {
  const { beep } = await readPrompts({});
  if (beep === undefined) throw new Error('there is no beep');
  return beep;
}

await t.test('a form is made once for each rate, whoever asks', async (t) => {
  const prompt = await configured();
  const made: string[] = [];
  const length = (samples: Int16Array, rate: number): { samples: number } => {
    made.push(`length at ${rate}`);
    return { samples: samples.length };
  };
  const copy = (samples: Int16Array, rate: number): Int16Array => {
    made.push(`copy at ${rate}`);
    return samples;
  };
  const first = PromptForms.of(prompt).at(8000, length);
  t.same(first, { samples: 3200 });
  t.equal(PromptForms.of(prompt).at(8000, length), first);
  t.same(PromptForms.of(prompt).at(16_000, length), { samples: 6400 });
  t.equal(PromptForms.of(prompt).at(8000, copy)?.length, 3200);
  t.equal(PromptForms.of(prompt).at(8000, copy)?.length, 3200);
  t.same(made, ['length at 8000', 'length at 16000', 'copy at 8000']);
});

await t.test('a rate at which there is none has no form', async (t) => {
  const forms = PromptForms.of(await configured());
  t.equal(
    forms.at(11_025, () => t.fail('there is nothing to be made')),
    undefined,
  );
});

await t.test('what is configured anew is made anew', async (t) => {
  let made = 0;
  const count = (): number => ++made;
  t.equal(PromptForms.of(await configured()).at(8000, count), 1);
  t.equal(PromptForms.of(await configured()).at(8000, count), 2);
});
