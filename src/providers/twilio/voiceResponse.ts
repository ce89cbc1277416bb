import VoiceResponse from 'twilio/lib/twiml/VoiceResponse.js';
import { ReelayError } from '../../config/ReelayError.js';

export interface VoiceStream {
  /** `wss` URL of the media socket: with a path, without a query, because Twilio refuses one. */
  readonly url: string;
  /** Custom parameters of the start message, in this order. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Twilio: name and value of a parameter must together stay under 500 characters (TwiML `<Stream>`). */
const maxParameterCharacters = 499;

/**
 * TwiML that connects a call to a bidirectional stream. For the control thread alone: the media thread must not load the
 * `twilio` package.
 *
 * @throws ReelayError `request_invalid` for a parameter that Twilio would refuse
 */
export function voiceResponse({ url, parameters }: VoiceStream): string {
  const response = new VoiceResponse();
  const stream = response.connect().stream({ url });
  for (const [name, value] of Object.entries(parameters)) {
    if (name.length + value.length > maxParameterCharacters) {
      throw new ReelayError('request_invalid', {
        value: name,
        remedy: 'Name and value of a stream parameter must be under 500 characters together.',
      });
    }
    stream.parameter({ name, value: withoutControlCharacters(value) });
  }
  return response.toString();
}

/** XML 1.0 has no way to write them, and Twilio refuses the whole document for one. */
function withoutControlCharacters(text: string): string {
  return text.replace(/\p{Cc}/gu, '');
}
