import { WebSocketServer } from 'ws';
import type { ServerOptions } from 'ws';

/** A client that doesn't finish the closing handshake is cut off. */
const closeTimeoutMs = 5000;

/** Does the upgrades of one kind of socket. */
export function acceptorFor(maxMessageBytes: number, subprotocols: readonly string[] = []): WebSocketServer {
  const options: ServerOptions & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    // Bytes are passed on as they came; what can't be read as JSON is found out when it is read.
    skipUTF8Validation: true,
    closeTimeout: closeTimeoutMs,
    handleProtocols: (offered) => [...offered].find((name) => subprotocols.includes(name)) ?? false,
  };
  return new WebSocketServer(options);
}
