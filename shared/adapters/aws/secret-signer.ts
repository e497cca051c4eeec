import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { Clock, Signer } from '../../registry/ports.ts';
import { createInstanceSigner } from '../instance-signer.ts';
import { systemClock } from '../system.ts';
import { readInstanceSecret } from './instance-secret.ts';

/** So long a renewed key may wait for its first use. */
const CACHE_MS = 5 * 60_000;

/** The instance's key: what signs, and what TLS needs of it. */
export interface InstanceKey {
  readonly signer: Signer;
  readonly privateKeyPem: string;
  readonly certificatePem: string;
}

/**
 * Gives the instance's key from Secrets Manager, read at most every five minutes. The secret is
 * `{"privateKeyPem": "…", "certificatePem": "…", "formerIds": ["…"]}`. Rejects with a sentence that
 * holds nothing of the secret.
 */
export function secretSigner(
  client: SecretsManagerClient,
  secretArn: string,
  clock: Clock = systemClock,
): () => Promise<InstanceKey> {
  let cached: { readonly key: Promise<InstanceKey>; readonly until: number } | undefined;
  return async () => {
    if (cached === undefined || clock.now() >= cached.until)
      cached = { key: readKey(client, secretArn), until: clock.now() + CACHE_MS };
    const reading = cached;
    try {
      return await reading.key;
    } catch (error) {
      // The next call tries again at once.
      if (cached === reading) cached = undefined;
      throw error;
    }
  };
}

async function readKey(client: SecretsManagerClient, secretArn: string): Promise<InstanceKey> {
  const read = await readInstanceSecret(client, secretArn);
  switch (read.outcome) {
    case 'read': {
      const { privateKeyPem, certificatePem } = read.secret;
      return { signer: createInstanceSigner(read.secret), privateKeyPem, certificatePem };
    }
    case 'empty':
      throw new Error(`the secret ${secretArn} has no value: put the instance's key there`);
    case 'malformed':
      throw new Error(
        `the secret ${secretArn} is not the instance's key: expected JSON with the texts ` +
          'privateKeyPem and certificatePem and the list formerIds',
      );
  }
}
