import { WebhookReceiver, type WebhookEvent } from 'livekit-server-sdk';
import type { AccountConfig, LiveKitAccount } from '../../config/Config.js';
import { ReelayError } from '../../config/ReelayError.js';
import { issuerOf } from '../../providers/livekit/accessToken.js';
import type { PlainRequest } from '../ControlMessage.js';

/** An account with rooms. */
export type RoomAccount = AccountConfig & { readonly livekit: LiveKitAccount };

/** What a LiveKit server has said, and whose rooms it speaks of. */
export interface RoomNews {
  readonly event: WebhookEvent;
  /** Several may have the keys of one server, each with rooms of its own. */
  readonly accounts: readonly RoomAccount[];
}

export function hasRooms(account: AccountConfig): account is RoomAccount {
  return account.livekit !== null;
}

/**
 * Reads a webhook of a LiveKit server (`POST /livekit/webhook`): a token in `Authorization`, signed by the secret of the key that it
 * names, vouches for the digest of the body's bytes.
 *
 * @param accounts - all that are configured
 * @throws ReelayError `signature_missing`, `signature_invalid`
 */
export async function readRoomWebhook(
  request: Pick<PlainRequest, 'headers' | 'body'>,
  accounts: readonly AccountConfig[],
): Promise<RoomNews> {
  const { authorization } = request.headers;
  if (typeof authorization !== 'string' || authorization === '') throw new ReelayError('signature_missing');
  const apiKey = issuerOf(authorization);
  if (apiKey === null) {
    const remedy = 'LiveKit sends a token in Authorization, without Bearer.';
    throw new ReelayError('signature_invalid', { remedy });
  }
  const having = accounts.filter(hasRooms).filter(({ livekit }) => livekit.apiKey === apiKey);
  const body = Buffer.from(request.body).toString();
  const secrets = [...new Set(having.map(({ livekit }) => livekit.apiSecret))];
  for (const apiSecret of secrets) {
    const event = await receive(apiKey, apiSecret, body, authorization);
    if (event === null) continue;
    const proven = having.filter(({ livekit }) => livekit.apiSecret === apiSecret);
    return { event, accounts: proven };
  }
  const remedy = 'Have the server sign its webhooks with a key that is the livekit.apiKey of an account.';
  throw new ReelayError('signature_invalid', { value: apiKey, remedy });
}

/** @returns null for a token that this secret hasn't signed, that has expired, or that is of another body */
async function receive(
  apiKey: string,
  apiSecret: string,
  body: string,
  authorization: string,
): Promise<WebhookEvent | null> {
  try {
    return await new WebhookReceiver(apiKey, apiSecret).receive(body, authorization);
  } catch {
    return null;
  }
}
