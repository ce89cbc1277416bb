/** Main does what it is asked at its next turn; one that doesn't answer for so long has lost this thread's question, ms. */
const patienceMs = 5000;
/** Questions that may wait at once. */
const mostWaiting = 256;

/** What every question may come to. */
export interface Unanswered {
  readonly code: 'starting';
  readonly value: string;
}

const unanswered: Unanswered = { code: 'starting', value: 'the media thread has not answered' };

interface Waiting<Outcome> {
  readonly answer: (outcome: Outcome | Unanswered) => void;
  readonly timer: NodeJS.Timeout;
}

/** What main is asked by one kind of message, and hasn't answered yet. */
export class MainQuestions<Request, Outcome> {
  readonly #post: (id: number, request: Request) => void;
  readonly #waiting = new Map<number, Waiting<Outcome>>();
  #asked = 0;

  constructor(post: (id: number, request: Request) => void) {
    this.#post = post;
  }

  /** Never rejects. */
  async ask(request: Request): Promise<Outcome | Unanswered> {
    if (this.#waiting.size >= mostWaiting) return unanswered;
    const id = ++this.#asked;
    return await new Promise((answer) => {
      const timer = setTimeout(() => this.#settle(id, unanswered), patienceMs);
      this.#waiting.set(id, { answer, timer });
      this.#post(id, request);
    });
  }

  answered(id: number, outcome: Outcome): void {
    this.#settle(id, outcome);
  }

  #settle(id: number, outcome: Outcome | Unanswered): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    waiting.answer(outcome);
  }
}
