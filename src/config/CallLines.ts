/** How long a line waits for others to go with, ms. */
const waitMs = 250;
/** What goes at once, characters: a thread that reads nothing is found out within seconds, and what is sent meanwhile lies in memory. */
const mostCharacters = 256 * 1024;

/**
 * Log lines about calls on their way to the thread that keeps them. They go a few times a second, whatever there are, so that who logs
 * pays for a message no more often than that; what is too much, or finds nobody, is dropped and counted. Nobody ever waits for it.
 */
export class CallLines {
  readonly #send: (lines: readonly string[]) => boolean;
  readonly #dropped: (lines: number) => void;
  #lines: string[] = [];
  #characters = 0;
  #timer: NodeJS.Timeout | null = null;

  /**
   * @param send - says whether there was somebody to send them to
   * @param dropped - told how many lines were lost
   */
  constructor(send: (lines: readonly string[]) => boolean, dropped: (lines: number) => void) {
    this.#send = send;
    this.#dropped = dropped;
  }

  take(line: string): void {
    if (this.#characters + line.length > mostCharacters) return this.#dropped(1);
    this.#lines.push(line);
    this.#characters += line.length;
    this.#timer ??= setTimeout(() => this.flush(), waitMs).unref();
  }

  /** Sends at once what there is: before the end. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const lines = this.#lines;
    this.#lines = [];
    this.#characters = 0;
    if (lines.length > 0 && !this.#send(lines)) this.#dropped(lines.length);
  }
}
