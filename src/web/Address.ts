/** Where in the page somebody is: what stands behind the `#`, since the server knows one address only. */
export interface Address {
  readonly place: 'calls' | 'recordings' | 'recording' | 'system';
  /** Of a recording. */
  readonly id: string;
  readonly query: URLSearchParams;
}

/** @param hash - with its `#`, or empty. Whatever isn't known is the list of recordings */
export function readAddress(hash: string): Address {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [first = '', id = ''] = path.split('/');
  const asked = new URLSearchParams(query);
  if (first === 'calls' || first === 'system') return { place: first, id: '', query: asked };
  if (first === 'recordings' && id !== '') return { place: 'recording', id: decoded(id), query: asked };
  return { place: 'recordings', id: '', query: asked };
}

export function writeAddress({ place, id = '', query }: Partial<Address> & Pick<Address, 'place'>): string {
  const path = place === 'recording' ? `recordings/${encodeURIComponent(id)}` : place;
  const asked = query?.toString() ?? '';
  return `#/${path}${asked === '' ? '' : `?${asked}`}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
