import type { Delivery } from '../../catalogue/Delivery.js';

/** A delivery as its account is shown it. The endpoint's host alone: its path may be a secret of somebody else's. */
export function deliveryView(delivery: Delivery): object {
  const { eventId, endpoint, type, createdMs, state, tries, dueMs, problem } = delivery;
  return {
    eventId,
    endpoint: new URL(endpoint).host,
    type,
    state,
    tries,
    problem,
    createdTime: new Date(createdMs).toISOString(),
    [state === 'waiting' ? 'nextTime' : 'settledTime']: new Date(dueMs).toISOString(),
  };
}
