/** As many sockets as the native thread takes; the next one stays on the reference path. */
export const mostLiveSockets = 65_536;

/**
 * Numbers that the native thread writes and this one reads, as Float64 cells: 8 of the loop, then two of each socket. Its pages are taken
 * by the system only as far as sockets use them.
 *
 *     | links behind | bytes for providers | providers | … | queued 0 | taken 0 | queued 1 | taken 1 | …
 */
const behindCell = 0;
const waitingCell = 1;
const providersCell = 2;
const cellsOfLoop = 8;

export class LiveBoard {
  readonly cells = new Float64Array(new SharedArrayBuffer((cellsOfLoop + 2 * mostLiveSockets) * 8));

  /** Calls that have lost records in the thread's ring and couldn't tell it yet. */
  get behind(): number {
    return this.cells[behindCell] ?? 0;
  }

  /** Bytes that wait for providers, and the providers' sockets that the thread has. */
  get waiting(): { readonly bytes: number; readonly sockets: number } {
    return { bytes: this.cells[waitingCell] ?? 0, sockets: this.cells[providersCell] ?? 0 };
  }

  /** Bytes that wait in the thread for a socket's peer. */
  queuedBytes(slot: number): number {
    return this.cells[cellsOfLoop + 2 * slot] ?? 0;
  }

  /** Bytes of this socket that the thread has ever taken over. */
  takenBytes(slot: number): number {
    return this.cells[cellsOfLoop + 2 * slot + 1] ?? 0;
  }
}
