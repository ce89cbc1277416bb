/** Where a request comes from, as far as it tells. */
export interface RequestOrigin {
  readonly remoteAddress: string | undefined;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** A request that a proxy on this machine passed on comes from anywhere, whatever its socket's address says. */
const forwardingHeaders = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'cf-connecting-ip', 'via'] as const;

/**
 * Whether a request was made on this machine and meant for it: what is without a secret answers nobody else. The peer's
 * address alone doesn't say so. A page in a browser on this machine reaches it too, under its own origin or under a name of
 * its own that resolves to 127.0.0.1 (DNS rebinding), and so does whoever comes through a tunnel that ends here.
 */
export function isFromHere({ remoteAddress, headers }: RequestOrigin): boolean {
  if (!isLoopback(remoteAddress ?? '')) return false;
  if (forwardingHeaders.some((name) => headers[name] !== undefined)) return false;
  const { host, origin } = headers;
  return isLocalUrl(`http://${String(host)}`) && (origin === undefined || isLocalUrl(String(origin)));
}

/** @param address - of a socket, IPv4 perhaps in its IPv6 form */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address);
}

function isLocalUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || isLoopback(hostname);
}
