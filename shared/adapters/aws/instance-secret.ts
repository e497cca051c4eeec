/** The secret of an instance: its key, its certificate, and every other id that is its own. */
import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  ResourceNotFoundException,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import * as z from 'zod';

const secretSchema = z.object({
  privateKeyPem: z.string(),
  certificatePem: z.string(),
  formerIds: z.array(z.string()).default([]),
});

export type InstanceSecret = Readonly<z.output<typeof secretSchema>>;

export type ReadSecret =
  | { readonly outcome: 'read'; readonly secret: InstanceSecret }
  /** There is no such secret, or it has no value yet: Secrets Manager does not tell them apart. */
  | { readonly outcome: 'empty' }
  | { readonly outcome: 'malformed' };

/** The present value. Rejects with the service's own error, which holds nothing of the secret. */
export async function readInstanceSecret(
  client: SecretsManagerClient,
  secretArn: string,
): Promise<ReadSecret> {
  let text: string | undefined;
  try {
    const answer = await client.send(new GetSecretValueCommand({ SecretId: secretArn }));
    text = answer.SecretString;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return { outcome: 'empty' };
    throw error;
  }
  try {
    return { outcome: 'read', secret: secretSchema.parse(JSON.parse(text ?? '')) };
  } catch {
    // The errors of both parsers quote what they read.
    return { outcome: 'malformed' };
  }
}

/** A new version, which is the present one from then on; the one before stays as AWSPREVIOUS. */
export async function writeInstanceSecret(
  client: SecretsManagerClient,
  secretArn: string,
  { privateKeyPem, certificatePem, formerIds }: InstanceSecret,
): Promise<void> {
  const SecretString = JSON.stringify({ privateKeyPem, certificatePem, formerIds });
  await client.send(new PutSecretValueCommand({ SecretId: secretArn, SecretString }));
}
