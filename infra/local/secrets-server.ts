import { randomUUID } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { JsonRefusal, type JsonServer, startJsonServer } from './aws-json-server.ts';
import type { Identities } from './identity.ts';

export interface SecretsServer extends JsonServer {
  /** From now on the holder of the access key reads and writes the file by naming the ARN. */
  add(secret: LocalSecret): void;
}

export interface LocalSecret {
  readonly accessKeyId: string;
  readonly arn: string;
  /**
   * The present value. Read anew at every request, so that a changed key is seen as it would be on
   * AWS; without the file the secret has no value yet, as CloudFormation makes it.
   */
  readonly file: string;
}

interface Version {
  readonly id: string;
  readonly value: string;
}

/** What AWSCURRENT and AWSPREVIOUS name; the older one is forgotten when the server ends. */
interface Versions {
  current: Version | undefined;
  previous: Version | undefined;
}

/** The operations of Secrets Manager that are used here: GetSecretValue and PutSecretValue. */
export async function startSecretsServer(
  port: number,
  identities?: Identities,
): Promise<SecretsServer> {
  const secrets: LocalSecret[] = [];
  const versions = new Map<LocalSecret, Versions>();
  const find = (input: unknown, accessKeyId: string | undefined) => {
    const wanted = String(Object(input)['SecretId']);
    const secret = secrets.find((each) => each.arn === wanted && each.accessKeyId === accessKeyId);
    if (secret !== undefined) return secret;
    throw new JsonRefusal(NOT_FOUND, "Secrets Manager can't find the specified secret.");
  };
  const versionsOf = async (secret: LocalSecret) => {
    const known = versions.get(secret) ?? { current: undefined, previous: undefined };
    versions.set(secret, known);
    const value = await readText(secret.file);
    // Somebody edited the file: that is a version as well.
    if (value !== undefined && value !== known.current?.value)
      become(known, { id: randomUUID(), value });
    return known;
  };
  const operations = {
    'secretsmanager.GetSecretValue': async (input: unknown, accessKeyId: string | undefined) => {
      const secret = find(input, accessKeyId);
      return shown(secret, await versionsOf(secret), input);
    },
    'secretsmanager.PutSecretValue': async (input: unknown, accessKeyId: string | undefined) => {
      const secret = find(input, accessKeyId);
      return await put(secret, await versionsOf(secret), input);
    },
  };
  const server = await startJsonServer(port, operations, identities);
  return { ...server, add: (secret) => secrets.push(secret) };
}

const NOT_FOUND = 'ResourceNotFoundException';

function become(versions: Versions, next: Version): void {
  versions.previous = versions.current;
  versions.current = next;
}

function shown(secret: LocalSecret, { current, previous }: Versions, input: unknown): object {
  const { VersionId: id, VersionStage: stage = 'AWSCURRENT' } = Object(input);
  const byStage = stage === 'AWSPREVIOUS' ? previous : current;
  const known = [current, previous].find((each) => each?.id === id);
  const version = id === undefined ? byStage : known;
  if (version === undefined || !['AWSCURRENT', 'AWSPREVIOUS'].includes(stage))
    throw new JsonRefusal(
      NOT_FOUND,
      `Secrets Manager can't find the specified secret value for ${id ?? `staging label: ${stage}`}`,
    );
  return {
    ...named(secret),
    SecretString: version.value,
    VersionId: version.id,
    VersionStages: [version === current ? 'AWSCURRENT' : 'AWSPREVIOUS'],
  };
}

/** The new version takes AWSCURRENT; the one that had it becomes AWSPREVIOUS. */
async function put(secret: LocalSecret, versions: Versions, input: unknown): Promise<object> {
  const { ClientRequestToken: id, SecretString: value, VersionStages: stages } = Object(input);
  if (typeof id !== 'string' || typeof value !== 'string' || stages !== undefined)
    throw new JsonRefusal(
      'InvalidRequestException',
      'only a SecretString with a ClientRequestToken and without VersionStages is known here',
    );
  const known = [versions.current, versions.previous].find((each) => each?.id === id);
  if (known !== undefined && known.value !== value)
    throw new JsonRefusal('ResourceExistsException', `there is another version ${id}`);
  if (known === undefined) {
    const part = `${secret.file}.part`;
    await writeFile(part, value, { mode: 0o600 });
    await rename(part, secret.file);
    become(versions, { id, value });
  }
  const stage = id === versions.previous?.id ? 'AWSPREVIOUS' : 'AWSCURRENT';
  return { ...named(secret), VersionId: id, VersionStages: [stage] };
}

function named({ arn }: LocalSecret): object {
  return { ARN: arn, Name: arn.slice(arn.lastIndexOf(':') + 1) };
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (Object(error)['code'] === 'ENOENT') return undefined;
    throw error;
  }
}
