import { createHash, hash } from 'node:crypto';

/** Lower-case hex SHA-256 of canonical bytes or of a document (protocol section 1). */
export type Digest = string & { readonly digest: unique symbol };

/** Lower-case hex SHA-256 of a certificate's SubjectPublicKeyInfo (protocol section 1). */
export type CertificateId = string & { readonly certificateId: unique symbol };

/** The place of an entry: 1, 2, 3 … without gaps. */
export type Sequence = number & { readonly sequence: unique symbol };

/** The id of a registry is the digest of its create-registry transaction. */
export type RegistryId = Digest;

const HEX_64 = /^[0-9a-f]{64}$/;

/** Whether the text is 64 lower-case hex digits. */
export function isDigest(text: string): text is Digest {
  return HEX_64.test(text);
}

/** Whether the text has the form of a certificate id: the same as a digest's. */
export function isCertificateId(text: string): text is CertificateId {
  return HEX_64.test(text);
}

/** Whether the number is a place in a ledger. */
export function isSequence(value: number): value is Sequence {
  return Number.isSafeInteger(value) && value >= 1;
}

/** SHA-256 (FIPS 180-4) of the bytes. */
export function digestOf(bytes: Uint8Array | string): Digest {
  // In one call: streaming objects cost more than the digest of a short text itself.
  return hash('sha256', bytes, 'hex') as Digest;
}

/** SHA-256 and size in bytes of a stream; memory does not grow with it. */
export async function digestOfStream(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ readonly digest: Digest; readonly size: number }> {
  const hasher = createHash('sha256');
  let size = 0;
  for await (const chunk of chunks) {
    hasher.update(chunk);
    size += chunk.length;
  }
  return { digest: hasher.digest('hex') as Digest, size };
}
