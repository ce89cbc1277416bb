import { element } from './element.js';

/** What is asked before something is done. */
export interface Question {
  readonly title: string;
  readonly text: string;
  /** On the button that does it. */
  readonly deed: string;
  /** What may be written to it, by its label; default: nothing. */
  readonly note?: string;
}

/** Asks whether something shall be done. @returns null: no; else what was written to it, perhaps nothing */
export async function confirmDeed({ title, text, deed, note }: Question): Promise<string | null> {
  const field = element('input', { id: 'note', type: 'text', maxlength: 1000 });
  const dialog = element('dialog', { 'aria-labelledby': 'question', class: 'card' });
  const answer = (value: string) => (): void => dialog.close(value);
  const no = element('button', { type: 'button', autofocus: true, click: answer('') }, 'Cancel');
  const yes = element('button', { type: 'button', class: 'danger', click: answer('yes') }, deed);
  dialog.append(
    element('h2', { id: 'question' }, title),
    element('p', {}, text),
    ...(note === undefined ? [] : [element('label', { for: 'note' }, note), field]),
    element('div', { class: 'deeds' }, no, yes),
  );
  document.body.append(dialog);
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }));
  dialog.remove();
  return dialog.returnValue === 'yes' ? field.value.trim() : null;
}
