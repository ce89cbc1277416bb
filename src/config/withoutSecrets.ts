import type { Environment } from './environment.js';

/** Of the daemon's environment what a program needs to run and to reach a server: the rest may hold what the configuration refers to. */
const harmless =
  /^(?:PATH|HOME|TMPDIR|LANG|LC_\w+|TZ|SSL_CERT_\w+|NODE_EXTRA_CA_CERTS|REELAY_KERNELS|(?:https?|no|all)_proxy)$/i;

/** The environment of a process that has a foreign native library in it, and therefore none of the keys that the daemon was given. */
export function withoutSecrets(environment: Environment): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => harmless.test(name)));
}
