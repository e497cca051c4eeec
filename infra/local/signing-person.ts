/** Somebody who signs with OpenSSL, as with any program that signs bytes; the key never leaves them. */
import { spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface SigningPerson {
  /** SubjectPublicKeyInfo in PEM: what a request for a signature names. */
  readonly publicKeyPem: string;
  /** The program that makes key and signatures. */
  readonly program: string;
  /** ECDSA with P-256 and SHA-256 over the bytes, in DER, as OpenSSL writes it. */
  sign(input: Uint8Array): Buffer;
}

/** The person's key is made once and kept in the folder. */
export function signingPerson(directory: string): SigningPerson {
  const keyFile = join(directory, 'signing-key.pem');
  const version = openssl('version');
  if (!existsSync(keyFile)) makeKey(keyFile, version !== undefined);
  const publicKey = createPublicKey(readFileSync(keyFile, 'utf8'));
  const publicKeyPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  if (version === undefined)
    return {
      publicKeyPem,
      program: 'Node (OpenSSL is not on the PATH)',
      sign: (input) => sign('sha256', input, readFileSync(keyFile, 'utf8')),
    };
  return {
    publicKeyPem,
    program: version.toString('utf8').split(' ').slice(0, 2).join(' '),
    sign: (input) => signWithOpenssl(directory, keyFile, input),
  };
}

function makeKey(keyFile: string, withOpenssl: boolean): void {
  const made = withOpenssl
    ? openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256')
    : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
        type: 'pkcs8',
        format: 'pem',
      });
  if (made === undefined) throw new Error('OpenSSL did not make a key');
  writeFileSync(keyFile, made, { mode: 0o600 });
}

function signWithOpenssl(directory: string, keyFile: string, input: Uint8Array): Buffer {
  const inputFile = join(directory, 'signing-input.bin');
  writeFileSync(inputFile, input);
  const signature = openssl('dgst', '-sha256', '-sign', keyFile, inputFile);
  if (signature === undefined) throw new Error('OpenSSL did not sign');
  return signature;
}

/** What the program prints; undefined where it is missing or fails. */
function openssl(...words: readonly string[]): Buffer | undefined {
  const run = spawnSync('openssl', words, { stdio: ['ignore', 'pipe', 'ignore'] });
  return run.status === 0 ? run.stdout : undefined;
}
