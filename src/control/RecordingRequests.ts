import { ReelayError } from '../config/ReelayError.js';
import type { RecordingOutcome, RecordingRequest, RecordingSwitch } from '../tap/RecordingRequest.js';

/** Main does what it is asked at its next turn; one that doesn't answer for so long has lost this thread's question, ms. */
const patienceMs = 5000;
/** Requests that may wait at once. */
const mostWaiting = 256;

interface Waiting {
  readonly answer: (outcome: RecordingOutcome) => void;
  readonly timer: NodeJS.Timeout;
}

const unanswered = { code: 'starting', value: 'the media thread has not answered' } as const;

/** What main is asked of the recordings of calls that are up, and hasn't answered yet. */
export class RecordingRequests {
  readonly #post: (id: number, request: RecordingRequest) => void;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;

  constructor(post: (id: number, request: RecordingRequest) => void) {
    this.#post = post;
  }

  /**
   * Resolves when what is asked holds for all that comes.
   *
   * @throws ReelayError `recording_not_live`, `recording_failed`, `starting`
   */
  async ask(request: RecordingRequest): Promise<{ recordingId: string; recording: RecordingSwitch }> {
    const outcome = await this.#outcomeOf(request);
    if ('recording' in outcome) return outcome;
    const remedy = 'GET /v1/calls shows the calls that are up, and what is being recorded of each.';
    throw new ReelayError(outcome.code, { value: outcome.value, remedy });
  }

  answered(id: number, outcome: RecordingOutcome): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    waiting.answer(outcome);
  }

  async #outcomeOf(request: RecordingRequest): Promise<RecordingOutcome> {
    if (this.#waiting.size >= mostWaiting) return unanswered;
    const id = ++this.#asked;
    return await new Promise((answer) => {
      const timer = setTimeout(() => this.answered(id, unanswered), patienceMs);
      this.#waiting.set(id, { answer, timer });
      this.#post(id, request);
    });
  }
}
