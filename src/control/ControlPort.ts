import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../config/Config.js';

/** Pause between a successor's tries to listen, ms. */
const listenAgainMs = 100;

/** Where the API is served: opened, handed over to another daemon, closed. */
export class ControlPort {
  readonly #app: FastifyInstance;
  readonly #log: Logger;
  #isWanted = true;

  constructor(app: FastifyInstance, log: Logger) {
    this.#app = app;
    this.#log = log;
  }

  /**
   * @param port - 0: any
   * @param isPatient - tries for as long as it takes, since a predecessor's socket has to go first
   * @returns where it listens; null when it was handed over meanwhile
   * @throws the system's error, unless it is patient
   */
  async open({ host }: Config['control'], port: number, isPatient: boolean): Promise<number | null> {
    while (this.#isWanted) {
      try {
        await this.#app.listen({ host, port });
        return (this.#app.server.address() as AddressInfo).port;
      } catch (error) {
        if (!isPatient) throw error;
        this.#log.warn({ reason: (error as Error).message }, 'the control port is not free yet');
        await sleep(listenAgainMs);
      }
    }
    return null;
  }

  /** Another daemon needs the port. Answers that are under way go on. */
  async handOver(): Promise<void> {
    const { server } = this.#app;
    this.#isWanted = false;
    // One that listens on several addresses has a server for each, and only all of it can be closed.
    if (this.#app.addresses().length > 1) await this.#app.close();
    else if (server.listening) server.close();
  }

  async close(): Promise<void> {
    await this.#app.close().catch(() => undefined);
  }
}
