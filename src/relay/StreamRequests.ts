import type { ErrorCode } from '../config/ReelayError.js';
import type { StartEvent } from '../providers/Dialect.js';
import type { RecordingDeed } from '../tap/RecordingRequest.js';
import type { Call } from './Call.js';
import type { Problems } from './Problems.js';
import { steer } from './recordingDeeds.js';

/** How many requests of one stream may wait for those before them, and how many there may be altogether. */
const mostWaiting = 16;
const mostTaken = 1000;

/** The parameter of a stream's start message that has the recording pause where the stream begins. */
const pauseParameter = 'reelay.pause';

/**
 * What a stream itself wants of the recording of its own call, and of no other: its start message, and its bot. It is done in the order in
 * which it was asked and as what comes over HTTP is, but never answered. What can't be done is counted and logged like any other message
 * that somebody got wrong, and the call goes on.
 */
export class StreamRequests {
  readonly #call: Call;
  readonly #problems: Problems;
  readonly #onChange: (call: Call) => void;
  #waiting = 0;
  #taken = 0;

  constructor(call: Call, problems: Problems, onChange: (call: Call) => void) {
    this.#call = call;
    this.#problems = problems;
    this.#onChange = onChange;
  }

  /** What the start message says. It says nothing of a recording that somebody has to ask for first. */
  start({ parameters }: StartEvent): void {
    const mode = parameters[pauseParameter];
    if (mode === undefined) return;
    if (mode !== 'silence' && mode !== 'skip')
      this.#problems.note('start_invalid', { value: pauseParameter });
    else if (this.#call.recording.state === 'running') this.take({ deed: 'pause', mode });
  }

  /** What the bot says. It holds at once for what the bot says next. */
  take(request: RecordingDeed): void {
    if (this.#waiting >= mostWaiting || this.#taken >= mostTaken) {
      this.#refused('request_invalid', 'too many requests');
      return;
    }
    this.#waiting++;
    this.#taken++;
    void steer(this.#call, request, this.#onChange).then((outcome) => {
      this.#waiting--;
      if ('code' in outcome) this.#refused(outcome.code, `${request.deed}: ${outcome.value}`);
    });
  }

  #refused(code: ErrorCode, value: string): void {
    this.#problems.note('upstream_message_invalid', { value }, code);
  }
}
