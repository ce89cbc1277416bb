import { WebSocketServer } from 'ws';
import type { ServerOptions } from 'ws';
import type { Dialect } from '../providers/Dialect.js';
import { jambonzDialect } from '../providers/jambonz/dialect.js';
import type { Admitted } from './Admission.js';
import { dialects } from './MediaRoute.js';

/** A client that doesn't finish the closing handshake is cut off. */
const closeTimeoutMs = 5000;

/** The longest message of jambonz's own recordings, bytes: a minute and more of 48 kHz stereo. */
const recordMessageBytes = 16 * 1024 * 1024;
/** The longest message of a track of a room, bytes: 5 s of it. */
const trackMessageBytes = 1024 * 1024;

/** Who does the upgrades: one for each kind of socket, because kinds differ in how long a message may be, and in what it is called. */
export class Acceptors {
  /** Of a room's tracks. */
  readonly track = acceptorFor(trackMessageBytes);
  readonly #record = acceptorFor(recordMessageBytes, jambonzDialect.capabilities.subprotocols);
  readonly #streams: ReadonlyMap<Dialect, WebSocketServer>;

  constructor() {
    this.#streams = new Map(
      dialects.map((dialect) => {
        const { maxMessageBytes, subprotocols } = dialect.capabilities;
        return [dialect, acceptorFor(maxMessageBytes, subprotocols)];
      }),
    );
  }

  for({ endpoint, dialect }: Pick<Admitted, 'endpoint' | 'dialect'>): WebSocketServer | undefined {
    return endpoint === 'record' ? this.#record : this.#streams.get(dialect);
  }
}

function acceptorFor(maxMessageBytes: number, subprotocols: readonly string[] = []): WebSocketServer {
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
