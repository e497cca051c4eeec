/** The certificates of the cluster CA that an instance's file gives or names. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InstanceConfigError } from './instance-fields.ts';

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;

/**
 * The certificates in PEM, one after the other, nothing around them. `value` is PEM, or the path of
 * a file with it, from the folder of the instance's file. Throws InstanceConfigError.
 */
export function readClusterCa(value: unknown, file: string): string {
  if (typeof value !== 'string' || value === '')
    throw new InstanceConfigError(
      `${file}: clusterCa is missing: give the cluster CA's certificate in PEM, ` +
        'or the path of its file from here',
    );
  const pem = value.includes('-----BEGIN') ? value : readPem(value, file);
  const blocks = [...pem.matchAll(PEM_BLOCK)];
  // This text goes into templates and logs of deployments: a key must not come along.
  if (pem.includes('PRIVATE KEY-----'))
    throw new InstanceConfigError(
      `${file}: clusterCa holds a private key: give the certificate alone and keep the key apart`,
    );
  if (blocks.length === 0)
    throw new InstanceConfigError(`${file}: clusterCa holds no certificate in PEM`);
  for (const [block] of blocks) checkAuthority(block, file);
  return `${blocks.map(([block]) => block).join('\n')}\n`;
}

function readPem(path: string, file: string): string {
  const full = resolve(dirname(file), path);
  try {
    return readFileSync(full, 'utf8');
  } catch {
    throw new InstanceConfigError(`${file}: clusterCa names ${full}, which cannot be read`);
  }
}

function checkAuthority(block: string, file: string): void {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(block);
  } catch {
    throw new InstanceConfigError(`${file}: clusterCa holds a block that is no X.509 certificate`);
  }
  if (!certificate.ca)
    throw new InstanceConfigError(
      `${file}: clusterCa holds the certificate of ${certificate.subject.replaceAll('\n', ', ')}, ` +
        'which is no CA: give the certificate that issued it',
    );
  if (!isOfTruststore(certificate))
    throw new InstanceConfigError(
      `${file}: clusterCa holds the certificate of ${certificate.subject.replaceAll('\n', ', ')}, ` +
        'whose key API Gateway does not take: use RSA of at least 2048 bits, P-256 or P-384',
    );
}

/** API Gateway refuses a truststore with another key, in the middle of a deployment. */
function isOfTruststore({ publicKey }: X509Certificate): boolean {
  const { modulusLength = 0, namedCurve = '' } = publicKey.asymmetricKeyDetails ?? {};
  switch (publicKey.asymmetricKeyType) {
    case 'rsa':
      return modulusLength >= 2048;
    case 'ec':
      return ['prime256v1', 'secp384r1'].includes(namedCurve);
    default:
      return false;
  }
}
