import { element } from './element.js';
import { explain } from './explain.js';

/** The state of a recording: a word, and a colour that says no more than that. */
export function stateBadge(state: string): HTMLElement {
  return element('span', { class: `badge ${state}` }, explain.state(state));
}
