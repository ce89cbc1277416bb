import type { PartyCallReport } from './PartyMessage.js';

/** What a call's ends missed: nothing, if the relay can't be told from a wire. */
export function frameProblems({ callSid, up, down, cut }: PartyCallReport): string[] {
  const problems: string[] = [];
  if (cut !== null) problems.push(cut);
  for (const [direction, { sent, received, lost, reordered, damaged }] of Object.entries({ up, down })) {
    if (sent === 0) problems.push(`nothing went ${direction}`);
    if (lost > 0 || received !== sent) problems.push(`${lost} of ${sent} frames ${direction} are lost`);
    if (reordered > 0) problems.push(`${reordered} frames ${direction} came out of order`);
    if (damaged > 0) problems.push(`${damaged} messages ${direction} are damaged`);
  }
  return problems.map((problem) => `${callSid}: ${problem}`);
}
