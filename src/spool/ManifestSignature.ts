import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { ReelayError } from '../config/ReelayError.js';

/**
 * A manifest holds the hash of every file of its recording, so whoever has signed it has signed the recording. The signature is Ed25519
 * (RFC 8032) over the bytes of `manifest.json` as they lie in the store, 64 bytes in a file of their own, which any tool can check:
 *
 *     openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in manifest.json -sigfile manifest.json.sig
 */
export const signatureBytes = 64;

/** @throws ReelayError `config_invalid` for anything but an Ed25519 private key in PEM */
export function signingKeyIn(pem: string): KeyObject {
  const remedy = 'Make one with: openssl genpkey -algorithm ed25519';
  return keyIn(() => createPrivateKey(pem), 'a signing key', remedy);
}

/** @throws ReelayError `config_invalid` for anything but an Ed25519 public key in PEM */
export function publicKeyIn(pem: string): KeyObject {
  const remedy = 'Take it from the private key with: openssl pkey -in private.pem -pubout';
  return keyIn(() => createPublicKey(pem), 'a public key', remedy);
}

export function signatureOf(manifest: string, key: KeyObject): Buffer {
  return sign(null, Buffer.from(manifest), key);
}

/** Whether one of these keys has signed exactly these bytes. */
export function isSignedBy(manifest: Uint8Array, signature: Uint8Array, keys: readonly KeyObject[]): boolean {
  if (signature.length !== signatureBytes) return false;
  return keys.some((key) => verify(null, manifest, key, signature));
}

function keyIn(read: () => KeyObject, what: string, remedy: string): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch (error) {
    throw new ReelayError('config_invalid', { value: `${what} that cannot be read`, remedy, cause: error });
  }
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw new ReelayError('config_invalid', {
    value: `${what} of type ${String(key.asymmetricKeyType)}`,
    remedy,
  });
}
