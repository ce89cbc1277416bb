import type { FaultKind } from './ControlMessage.js';

/** Makes the calling thread fail in the way that was asked for; never returns normally, though `throw` does so a turn later. */
export function commitFault(fault: FaultKind): void {
  // A timer's error is caught by nobody, which is what is wanted.
  if (fault === 'throw')
    setTimeout(() => {
      throw new Error('The control thread was asked to throw.');
    });
  else if (fault === 'exit') process.exit(1);
  else fill(fault === 'heap');
}

function fill(isHeap: boolean): never {
  const hoard: number[][] = [];
  for (;;) if (isHeap) hoard.push(Array.from({ length: 10_000 }, Math.random));
}
