import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as z from 'zod';
import type { Clock, Signer } from '../../registry/ports.ts';
import { createInstanceSigner } from '../instance-signer.ts';
import { systemClock } from '../system.ts';

/** So long a renewed key may wait for its first use. */
const CACHE_MS = 5 * 60_000;

/** The instance's key: what signs, and what TLS needs of it. */
export interface InstanceKey {
  readonly signer: Signer;
  readonly privateKeyPem: string;
  readonly certificatePem: string;
}

const secretSchema = z.object({
  privateKeyPem: z.string(),
  certificatePem: z.string(),
  formerIds: z.array(z.string()).default([]),
});

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
  const answer = await client.send(new GetSecretValueCommand({ SecretId: secretArn }));
  const parts = parseSecret(answer.SecretString);
  if (parts === undefined)
    throw new Error(
      `the secret ${secretArn} is not the instance's key: expected JSON with the texts ` +
        'privateKeyPem and certificatePem and the list formerIds',
    );
  const { privateKeyPem, certificatePem } = parts;
  return { signer: createInstanceSigner(parts), privateKeyPem, certificatePem };
}

function parseSecret(text: string | undefined): z.output<typeof secretSchema> | undefined {
  try {
    return secretSchema.parse(JSON.parse(text ?? ''));
  } catch {
    // The errors of both parsers quote what they read.
    return undefined;
  }
}
