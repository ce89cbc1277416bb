import t from 'tap';
import { readAddress, writeAddress } from '../../src/web/Address.js';

void t.test('an address is read as it was written', (t) => {
  const query = new URLSearchParams({ search: '+49 30', state: 'failed' });
  for (const address of [
    { place: 'calls', id: '', query: new URLSearchParams() },
    { place: 'system', id: '', query: new URLSearchParams() },
    { place: 'recordings', id: '', query },
    { place: 'recording', id: 'a/b %', query: new URLSearchParams('t=3') },
  ] as const) {
    const read = readAddress(writeAddress(address));
    t.equal(read.place, address.place);
    t.equal(read.id, address.id);
    t.equal(read.query.toString(), address.query.toString());
  }
  t.end();
});

void t.test('whatever is not known is the list', (t) => {
  for (const hash of ['', '#', '#/', '#/elsewhere/x', '#//']) t.equal(readAddress(hash).place, 'recordings');
  t.equal(readAddress('#/recordings/%E0%A4').id, '%E0%A4', 'what is not well encoded stays as it is');
  t.end();
});
