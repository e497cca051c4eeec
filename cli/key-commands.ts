/** The command that puts an instance's key where its functions read it. */
import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  ResourceNotFoundException,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import * as z from 'zod';
import { createInstanceSigner } from '../shared/adapters/instance-signer.ts';
import { readCertificate } from '../shared/ledger/certificate.ts';
import { CommandMistake, type Commands, type Given, type Output, readText } from './command.ts';

export const keyCommands: Commands = {
  'key put': {
    usage:
      'key put --secret <ARN or name> --key <key file> --certificate <certificate file> ' +
      '[--former <certificate id>]…',
    required: ['secret', 'key', 'certificate'],
    optional: ['former'],
    repeatable: ['former'],
    run: putKey,
  },
};

const heldSchema = z.object({
  certificatePem: z.string(),
  formerIds: z.array(z.string()).default([]),
});

/**
 * Checks that key and certificate are an instance's and fit each other, and puts them into the
 * secret. Former ids that are there already stay: they are for ever.
 */
async function putKey(given: Given, output: Output): Promise<void> {
  const file = given.value('certificate');
  const privateKeyPem = await readText(given.value('key'));
  const certificatePem = await readText(file);
  const read = readCertificate(certificatePem);
  if (read.outcome === 'read' && !read.certificate.usages.server)
    throw new CommandMistake(`${file} is no instance's certificate: issue one with an endpoint`);
  // Endpoint, region and credentials come from AWS's own variables.
  const secrets = new SecretsManagerClient({});
  const secret = given.value('secret');
  const held = await heldIn(secrets, secret);
  const formerIds = [...new Set([...held.formerIds, ...given.all('former')])];
  const parts = { privateKeyPem, certificatePem, formerIds };
  const { certificateId, knownIds } = checked(parts);
  // Without the id of its former key the instance would take its own statements for a stranger's.
  if (held.id !== undefined && !knownIds.some((id) => id === held.id))
    throw new CommandMistake(
      `${secret} holds the key of ${held.id}: give --former ${held.id} if this instance was that one`,
    );
  await put(secrets, secret, JSON.stringify(parts));
  output(`certificate id: ${certificateId}`);
  output(`former ids: ${formerIds.length === 0 ? 'none' : formerIds.join(', ')}`);
  output('the functions use it within five minutes');
}

function checked(parts: Parameters<typeof createInstanceSigner>[0]) {
  try {
    return createInstanceSigner(parts);
  } catch (error) {
    // It says which part is wrong, and never what the key is.
    throw new CommandMistake(error instanceof Error ? error.message : 'the key cannot be read');
  }
}

interface Held {
  /** Certificate id of the present key; absent: there is none yet. */
  readonly id?: string;
  readonly formerIds: readonly string[];
}

async function heldIn(secrets: SecretsManagerClient, secret: string): Promise<Held> {
  try {
    const { SecretString } = await secrets.send(new GetSecretValueCommand({ SecretId: secret }));
    const { certificatePem, formerIds } = heldSchema.parse(JSON.parse(SecretString ?? ''));
    const read = readCertificate(certificatePem);
    if (read.outcome === 'refused') return { formerIds };
    return { id: read.certificate.certificateId, formerIds };
  } catch (error) {
    // As the template made it, it has no value yet.
    if (error instanceof ResourceNotFoundException) return { formerIds: [] };
    if (error instanceof z.ZodError || error instanceof SyntaxError)
      throw new CommandMistake(`${secret} holds something else than an instance's key`);
    throw error;
  }
}

async function put(secrets: SecretsManagerClient, secret: string, text: string): Promise<void> {
  try {
    await secrets.send(new PutSecretValueCommand({ SecretId: secret, SecretString: text }));
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
    throw new CommandMistake(
      `there is no secret ${secret}: give the output KeySecret of the stack <instance>-keys`,
    );
  }
}
