import { readFile } from 'node:fs/promises';
import { JsonRefusal, type JsonServer, startJsonServer } from './aws-json-server.ts';
import type { Identities } from './identity.ts';

export interface SecretsServer extends JsonServer {
  /** From now on the holder of the access key reads the file by asking for the ARN. */
  add(secret: LocalSecret): void;
}

export interface LocalSecret {
  readonly accessKeyId: string;
  readonly arn: string;
  /** Read anew at every request, so that a changed key is seen as it would be on AWS. */
  readonly file: string;
}

/** The one operation of Secrets Manager that the functions use: GetSecretValue. */
export async function startSecretsServer(
  port: number,
  identities?: Identities,
): Promise<SecretsServer> {
  const secrets: LocalSecret[] = [];
  const operations = {
    'secretsmanager.GetSecretValue': (input: unknown, accessKeyId: string | undefined) =>
      value(secrets, input, accessKeyId),
  };
  const server = await startJsonServer(port, operations, identities);
  return { ...server, add: (secret) => secrets.push(secret) };
}

async function value(
  secrets: readonly LocalSecret[],
  input: unknown,
  accessKeyId: string | undefined,
): Promise<object> {
  const wanted = String(Object(input)['SecretId']);
  const secret = secrets.find((each) => each.arn === wanted && each.accessKeyId === accessKeyId);
  if (secret === undefined)
    throw new JsonRefusal('ResourceNotFoundException', `there is no secret ${wanted}`);
  return {
    ARN: secret.arn,
    Name: secret.arn.slice(secret.arn.lastIndexOf(':') + 1),
    SecretString: await readFile(secret.file, 'utf8'),
    VersionId: '00000000-0000-4000-8000-000000000000',
    VersionStages: ['AWSCURRENT'],
  };
}
