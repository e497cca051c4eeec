import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readCertificate } from '../ledger/certificate.ts';
import { type CertificateId, isCertificateId } from '../ledger/digest.ts';
import { type PublicKeyJwk, signStatement } from '../ledger/jws.ts';
import type { Signer } from '../registry/ports.ts';

export interface InstanceKeyParts {
  /** PKCS #8 or SEC 1, P-256, not encrypted. */
  readonly privateKeyPem: string;
  readonly certificatePem: string;
  /** Certificate ids that this instance had under earlier keys. */
  readonly formerIds: readonly string[];
}

/**
 * Signs with the instance's key. Throws a sentence where the parts do not fit each other; no text of
 * the key is ever in it.
 */
export function createInstanceSigner({
  privateKeyPem,
  certificatePem,
  formerIds,
}: InstanceKeyParts): Signer {
  const read = readCertificate(certificatePem);
  if (read.outcome === 'refused')
    throw new Error(`the instance's certificate is refused (${read.code}): ${read.reason}`);
  const { certificateId, publicKeyJwk } = read.certificate;
  const key = readPrivateKey(privateKeyPem);
  if (!isKeyOf(key, publicKeyJwk))
    throw new Error(
      `the instance's private key does not belong to its certificate ${certificateId}: put the ` +
        'key and the certificate that was issued for it into the secret together',
    );
  return {
    certificateId,
    knownIds: [...new Set([certificateId, ...formerIds.map(readFormerId)])],
    sign: (statement) => {
      if (statement.signer !== certificateId)
        throw new Error(
          `a statement that names the signer ${statement.signer} is not signed by ${certificateId}`,
        );
      return signStatement(statement, key, publicKeyJwk);
    },
  };
}

function readPrivateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error("the instance's private key cannot be read: expected PEM without a passphrase");
  }
}

function isKeyOf(key: KeyObject, { x, y }: PublicKeyJwk): boolean {
  const jwk = createPublicKey(key).export({ format: 'jwk' });
  return jwk.crv === 'P-256' && jwk.x === x && jwk.y === y;
}

function readFormerId(id: string): CertificateId {
  if (!isCertificateId(id))
    throw new Error(`former id "${id}" of the instance is no certificate id (64 hex digits)`);
  return id;
}
