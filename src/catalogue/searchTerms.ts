import type { CatalogueEntry } from './Catalogue.js';

/** Longer ones are cut: who searches for a hundred characters has found it. */
const longestTerm = 100;
/** Of what a provider says who calls whom, as much is looked at. */
const longestParty = 256;
/** Digits, and what people write between them. */
const likeNumber = /^[+\d\s()./-]+$/;
/** Marks a number that is written from its end on, so that the beginning of one isn't found at the end of another. */
const reversed = '<';

/**
 * What a recording is found by: each term by its beginning. Numbers are there from both ends, since people know the last digits of
 * one as often as the first.
 */
export function termsOf({ recordingId, callId, from, to }: CatalogueEntry): string[] {
  const terms = new Set([plain(recordingId), plain(callId)]);
  for (const each of [from, to]) {
    if (each === null) continue;
    const party = each.slice(0, longestParty);
    if (isNumber(party)) for (const term of numberTerms(party)) terms.add(term);
    else terms.add(plain(party));
  }
  terms.delete('');
  return [...terms];
}

/** What one of a recording's terms has to begin with so that it is found. None for a text that says nothing, which finds everything. */
export function beginningsOf(search: string): string[] {
  const text = plain(search);
  if (text === '') return [];
  return isNumber(search) ? [...new Set([text, ...numberTerms(search)])] : [text];
}

export function isFound(entry: CatalogueEntry, beginnings: readonly string[]): boolean {
  if (beginnings.length === 0) return true;
  return termsOf(entry).some((term) => beginnings.some((beginning) => term.startsWith(beginning)));
}

function isNumber(text: string): boolean {
  return likeNumber.test(text) && /\d/.test(text);
}

function numberTerms(text: string): string[] {
  const digits = text.replace(/\D/g, '').slice(0, longestTerm);
  return [digits, reversed + Array.from(digits).reverse().join('')];
}

/**
 * In lower case and without anything that an index or a database treats in its own way: control characters (PostgreSQL takes no NUL),
 * white space, and characters that lie outside of Unicode's first plane, which databases and JavaScript put in different places.
 */
function plain(text: string): string {
  const kept = text.toLowerCase().replace(/[\p{C}\p{Z}\u{10000}-\u{10ffff}]/gu, '');
  return kept.slice(0, longestTerm);
}
