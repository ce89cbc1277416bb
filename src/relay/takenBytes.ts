import type { Socket } from 'node:net';

/** What Node's own `net.Socket#setTimeout` looks at to tell a slow write from none. */
interface StreamHandle {
  /** Bytes handed to the handle so far. */
  readonly bytesWritten: number;
  /** Those of them that the kernel has not taken yet. */
  readonly writeQueueSize: number;
  /** Below a TLS handle: the one of the TCP socket. */
  readonly _parent?: StreamHandle;
}

/**
 * Bytes of a socket that have left this process: the kernel has taken them (encrypted ones, where the socket is TLS). It grows while
 * a single long write is under way, which `bytesWritten` and `writableLength`, that know whole writes only, don't show.
 */
export function takenBytes(socket: Socket): number {
  const handle = (socket as unknown as { readonly _handle?: Partial<StreamHandle> | null })._handle;
  const { bytesWritten, writeQueueSize } = handle?._parent ?? handle ?? {};
  if (bytesWritten === undefined || writeQueueSize === undefined)
    return socket.bytesWritten - socket.writableLength;
  return bytesWritten - writeQueueSize;
}
