type Attributes = Readonly<Record<string, string | number | boolean | ((event: Event) => void) | null>>;

/**
 * An element of the page. Text is always text: nothing here is ever read as markup.
 *
 * @param attributes - by name; true sets it empty, false and null leave it out, a function listens to the event of that name
 */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(attribute, value);
    else if (value === true) made.setAttribute(attribute, '');
    else if (value !== false && value !== null) made.setAttribute(attribute, String(value));
  }
  made.append(...children);
  return made;
}
