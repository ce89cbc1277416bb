import type { Scenario } from './Scenario.js';

/** Calls that are up while threads end under them: a bot that echoes lets the caller notice every missing frame. */
export const scenarios: readonly Scenario[] = (
  [
    ['a Twilio call', 'twilio', 8000],
    ['a second Twilio call', 'twilio', 8000],
    ['a jambonz call', 'jambonz', 16_000],
  ] as const
).map(([name, provider, sampleRate]) => ({
  name,
  provider,
  sampleRate,
  seconds: 90,
  bot: (call, speech) => speech.echo(call),
}));
