const svg = 'http://www.w3.org/2000/svg';

/** Outlines in a square of 24. Letters that look alike come in the colours of whatever font a machine has. */
const outlines = {
  play: 'M8 5v14l11-7z',
  pause: 'M7 5h4v14H7zM13 5h4v14h-4z',
} as const;

/** A sign for eyes; what it is on says in words what it does. */
export function icon(name: keyof typeof outlines): SVGElement {
  const drawing = document.createElementNS(svg, 'svg');
  drawing.setAttribute('viewBox', '0 0 24 24');
  drawing.setAttribute('class', 'icon');
  drawing.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(svg, 'path');
  path.setAttribute('d', outlines[name]);
  drawing.append(path);
  return drawing;
}
