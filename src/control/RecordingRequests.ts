import { ReelayError } from '../config/ReelayError.js';
import type { RecordingOutcome, RecordingRequest, RecordingSwitch } from '../tap/RecordingRequest.js';
import { MainQuestions } from './MainQuestions.js';

/** What main is asked of the recordings of calls that are up, and hasn't answered yet. */
export class RecordingRequests {
  readonly #questions: MainQuestions<RecordingRequest, RecordingOutcome>;

  constructor(post: (id: number, request: RecordingRequest) => void) {
    this.#questions = new MainQuestions(post);
  }

  /**
   * Resolves when what is asked holds for all that comes.
   *
   * @throws ReelayError `recording_not_live`, `recording_failed`, `starting`
   */
  async ask(request: RecordingRequest): Promise<{ recordingId: string; recording: RecordingSwitch }> {
    const outcome = await this.#questions.ask(request);
    if ('recording' in outcome) return outcome;
    const remedy = 'GET /v1/calls shows the calls that are up, and what is being recorded of each.';
    throw new ReelayError(outcome.code, { value: outcome.value, remedy });
  }

  answered(id: number, outcome: RecordingOutcome): void {
    this.#questions.answered(id, outcome);
  }
}
