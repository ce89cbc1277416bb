import type { IncomingMessage } from 'node:http';

/** What is asked of an S3 service, as far as faults care. */
export type RequestKind =
  | 'put'
  | 'get'
  | 'head'
  | 'list'
  | 'delete'
  | 'create'
  | 'part'
  | 'complete'
  | 'abort'
  | 'parts'
  | 'uploads'
  | 'other';

export interface S3Request {
  readonly kind: RequestKind;
  readonly bucket: string;
  /** '' for a request that means the bucket. */
  readonly key: string;
}

/** Reads a path-style request: the operations are told apart by method and query (Amazon S3 API Reference). */
export function s3RequestOf({ method = 'GET', url = '/' }: IncomingMessage): S3Request {
  const { pathname, searchParams } = new URL(url, 'http://s3.invalid');
  const [, bucket = '', ...rest] = pathname.split('/').map(decodeURIComponent);
  const key = rest.join('/');
  return { kind: kindOf(method, key !== '', searchParams), bucket, key };
}

function kindOf(method: string, hasKey: boolean, query: URLSearchParams): RequestKind {
  const isOfUpload = query.has('uploadId');
  if (!hasKey) {
    if (method === 'GET' && query.has('uploads')) return 'uploads';
    return method === 'GET' && !['location', 'acl', 'policy'].some((name) => query.has(name))
      ? 'list'
      : 'other';
  }
  if (method === 'POST') {
    if (query.has('uploads')) return 'create';
    return isOfUpload ? 'complete' : 'other';
  }
  if (method === 'PUT') return isOfUpload ? 'part' : 'put';
  if (method === 'DELETE') return isOfUpload ? 'abort' : 'delete';
  if (method === 'GET') return isOfUpload ? 'parts' : 'get';
  return method === 'HEAD' ? 'head' : 'other';
}
