import type { WebSocket } from 'ws';

/** What each provider may have waiting for it in any case, bytes: some seconds of audio. */
const leastBytes = 64 * 1024;

/**
 * What waits for all providers together. `limits.providerBufferBytes` bounds it for one; if hundreds stop reading at once, as when a
 * network in front of them fails, that many times as much would fill the memory. So beyond a budget each gets an equal share of it.
 */
export class ProviderBuffers {
  readonly #sockets = new Set<WebSocket>();
  #shareBytes = Infinity;

  watch(socket: WebSocket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  /** What may wait for one provider. @param own - its limit by configuration, bytes */
  limitOf(own: number): number {
    return Math.min(own, this.#shareBytes);
  }

  /** What may wait for each, bytes; Infinity: as much as each is configured to. */
  get shareBytes(): number {
    return this.#shareBytes;
  }

  /**
   * To be called about once a second.
   *
   * @param budgetBytes - for all providers together
   * @param elsewhere - those that aren't watched here: what waits for them, and how many they are
   */
  tick(budgetBytes: number, elsewhere = { bytes: 0, sockets: 0 }): void {
    let waiting = elsewhere.bytes;
    for (const socket of this.#sockets) waiting += socket.bufferedAmount;
    const sockets = this.#sockets.size + elsewhere.sockets;
    this.#shareBytes = waiting > budgetBytes ? Math.max(leastBytes, budgetBytes / sockets) : Infinity;
  }
}
