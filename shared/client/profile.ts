/** Where an instance is and who calls it, as a file names it. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { RegistryError } from './problem.ts';

export interface Profile {
  /** Origin, for example `https://localhost:8441`. */
  readonly endpoint: string;
  /** PEM: the caller's own certificate first, authorities between it and the CA behind it. */
  readonly certificatePem: string;
  /** PEM without a passphrase. */
  readonly keyPem: string;
  /** PEM: the cluster's CA, one or more certificates. All that this client trusts. */
  readonly caPem: string;
}

const profileSchema = z.object({
  endpoint: z.url({ protocol: /^https$/ }),
  certificate: z.string(),
  key: z.string(),
  ca: z.string(),
});

/**
 * Reads a profile: `{"endpoint": …, "certificate": …, "key": …, "ca": …}`, the last three naming
 * PEM files relative to it. Rejects with `PROFILE_INVALID` or `FILE_UNREADABLE`.
 */
export async function readProfile(file: string): Promise<Profile> {
  const parsed = profileSchema.safeParse(jsonOf(await readText(file)));
  if (!parsed.success)
    throw new RegistryError(
      'PROFILE_INVALID',
      `${file} is no profile: expected JSON with endpoint (https), certificate, key and ca (files)`,
    );
  const { endpoint, certificate, key, ca } = parsed.data;
  const read = (name: string) => readText(resolve(dirname(file), name));
  return {
    endpoint,
    certificatePem: await read(certificate),
    keyPem: await read(key),
    caPem: await read(ca),
  };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

/** A file that the caller named and that cannot be read. */
export function unreadable(file: string, cause: unknown): RegistryError {
  return new RegistryError(
    'FILE_UNREADABLE',
    `${file} cannot be read (${systemCodeOf(cause)}): name a file that is there`,
    { cause },
  );
}

/** The system's code of an error, such as ENOENT. */
export function systemCodeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
