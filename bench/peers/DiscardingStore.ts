import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** As much of S3 as an upload in parts takes. What is uploaded is counted and thrown away. */
export class DiscardingStore {
  bytes = 0;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async open(): Promise<DiscardingStore> {
    const store = new DiscardingStore();
    store.#server.listen(0, '127.0.0.1');
    await once(store.#server, 'listening');
    return store;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.endpoint);
    const [, bucket = '', ...key] = pathname.split('/');
    const name = `<Bucket>${bucket}</Bucket><Key>${key.join('/')}</Key>`;
    request.on('data', (piece: Buffer) => (this.bytes += piece.length));
    request.on('end', () => {
      response.setHeader('ETag', '"00000000000000000000000000000000"');
      response.setHeader('Content-Type', 'application/xml');
      if (searchParams.has('uploads'))
        response.end(xml('InitiateMultipartUploadResult', `${name}<UploadId>1</UploadId>`));
      else if (request.method === 'POST') response.end(xml('CompleteMultipartUploadResult', name));
      else response.end();
    });
  }
}

function xml(root: string, inside: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><${root}>${inside}</${root}>`;
}
