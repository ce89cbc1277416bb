/* The store of the chaos bench and the proxy before it, away from the processes that are measured. */
import { FaultProxy } from '../../test/acceptance/FaultProxy.js';
import { openBackend } from '../../test/acceptance/openBackend.js';
import type { StoreAddress, StoreCounts, StoreOrder } from './StoreHouse.js';

const backend = await openBackend();
const proxy = await FaultProxy.open(backend.endpoint);
const access = await backend.account('chaos');
let seen = 0;
let met = 0;
let order: StoreOrder = { type: 'none' };
proxy.spoilAll(() => {
  seen += 1;
  if (order.type === 'none') return null;
  met += 1;
  return order;
});
process.on('message', (next: StoreOrder) => {
  order = next;
  process.send?.({ met, seen } satisfies StoreCounts);
});
process.once('disconnect', () => void close());
process.send?.({ endpoint: proxy.endpoint, access } satisfies StoreAddress);

async function close(): Promise<void> {
  await proxy.close();
  await backend.close();
  process.exit();
}
