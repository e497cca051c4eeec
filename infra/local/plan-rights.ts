/** What the roles and policies of one instance's templates allow and deny. */
import { isDeepStrictEqual } from 'node:util';
import { attributesOf, type Place } from './deployed-names.ts';
import {
  parseIdentityPolicy,
  parseResourcePolicy,
  type ResourceStatement,
  type Statement,
} from './iam/policy.ts';
import { type ResourceProperties, readAll } from './resource-properties.ts';
import type { Resource, TemplateReader } from './template.ts';

export interface RightsPlan {
  /** Statements of the policies of each role that Lambda may take on, by the role's ARN. */
  readonly roles: ReadonlyMap<string, readonly Statement[]>;
  /** Statements of the own policies of buckets, queues and keys, by ARN. */
  readonly ofResources: ReadonlyMap<string, readonly ResourceStatement[]>;
  /** ARN of the customer's own key that encrypts a resource, by the resource's ARN. */
  readonly keys: ReadonlyMap<string, string>;
}

const ROLE_IGNORED = ['Description', 'RoleName', 'Tags'];
const KEY_IGNORED = ['Description', 'EnableKeyRotation', 'Enabled', 'PendingWindowInDays', 'Tags'];

/** Throws a sentence that names the resource for whatever in a policy is not understood. */
export function planRights(reader: TemplateReader, place: Place): RightsPlan {
  const roles = new Map<string, Statement[]>();
  const ofResources = new Map<string, ResourceStatement[]>();
  readAll(reader, 'AWS::IAM::Role', ROLE_IGNORED, (properties, resource) => {
    const inline = properties.objects('Policies').map((each) => each['PolicyDocument']);
    const statements = inline.flatMap((each) => parsed(properties, parseIdentityPolicy, each));
    if (isForLambda(properties)) roles.set(arnOf(resource, place), statements);
  });
  readAll(reader, 'AWS::IAM::Policy', ['PolicyName'], (properties) => {
    const document = properties.object('PolicyDocument');
    const statements = parsed(properties, parseIdentityPolicy, document);
    for (const name of properties.texts('Roles')) {
      const role = roles.get(`arn:aws:iam::${place.account}:role/${name}`);
      if (role === undefined) throw properties.wrong('Roles', `roles of functions: ${name}`);
      role.push(...statements);
    }
  });
  const addOwn = (arn: string, properties: ResourceProperties, document: unknown) => {
    const statements = parsed(properties, parseResourcePolicy, document);
    ofResources.set(arn, [...(ofResources.get(arn) ?? []), ...statements]);
  };
  readAll(reader, 'AWS::S3::BucketPolicy', [], (properties) => {
    const arn = `arn:aws:s3:::${properties.text('Bucket')}`;
    addOwn(arn, properties, properties.object('PolicyDocument'));
  });
  readAll(reader, 'AWS::SQS::QueuePolicy', [], (properties) => {
    const document = properties.object('PolicyDocument');
    for (const url of properties.texts('Queues'))
      addOwn(queueArn(url, place), properties, document);
  });
  readAll(reader, 'AWS::KMS::Key', KEY_IGNORED, (properties, resource) => {
    addOwn(arnOf(resource, place), properties, properties.object('KeyPolicy'));
  });
  return { roles, ofResources, keys: planKeys(reader, place) };
}

/**
 * Keys that AWS holds for a service are open to whoever may use the service: only keys of the
 * customer count here. Throws for one that is not in the templates.
 */
function planKeys(reader: TemplateReader, place: Place): Map<string, string> {
  const found = new Map<string, string>();
  for (const resource of reader.resources) {
    const named = keyNamed(reader.resolve(resource.stack, namedIn(resource)));
    if (named === undefined) continue;
    const key = reader.resources.find((each) => {
      const { Ref, Arn } = attributesOf(each, place) ?? {};
      return each.type === 'AWS::KMS::Key' && (named === Ref || named === Arn);
    });
    if (key === undefined)
      throw new Error(`${resource.logicalId} is encrypted with ${named}, which is no key here`);
    found.set(arnOf(resource, place), arnOf(key, place));
  }
  return found;
}

/** The property that may name the key of a resource. */
function namedIn({ type, properties }: Resource): unknown {
  switch (type) {
    case 'AWS::DynamoDB::Table':
      return Object(properties['SSESpecification'])['KMSMasterKeyId'];
    case 'AWS::S3::Bucket': {
      const rules = Object(properties['BucketEncryption'])['ServerSideEncryptionConfiguration'];
      const [rule]: unknown[] = Array.isArray(rules) ? rules : [];
      return Object(Object(rule)['ServerSideEncryptionByDefault'])['KMSMasterKeyID'];
    }
    case 'AWS::SQS::Queue':
      return properties['KmsMasterKeyId'];
    case 'AWS::SecretsManager::Secret':
      return properties['KmsKeyId'];
    default:
      return undefined;
  }
}

function keyNamed(value: unknown): string | undefined {
  const managedByAws = typeof value === 'string' && value.startsWith('alias/aws/');
  return value === undefined || managedByAws ? undefined : String(value);
}

/** Of a secret `Ref` is the ARN. */
function arnOf(resource: Resource, place: Place): string {
  const { Arn, Ref } = attributesOf(resource, place) ?? {};
  return String(Arn ?? Ref);
}

function parsed<Parsed>(
  properties: ResourceProperties,
  parse: (document: unknown) => Parsed,
  document: unknown,
): Parsed {
  try {
    return parse(document);
  } catch (error) {
    throw properties.at(error);
  }
}

/** As CDK writes it: nobody else takes the role on, and on no condition. */
function isForLambda(properties: ResourceProperties): boolean {
  const statements = properties.object('AssumeRolePolicyDocument')['Statement'];
  const expected = {
    Action: 'sts:AssumeRole',
    Effect: 'Allow',
    Principal: { Service: 'lambda.amazonaws.com' },
  };
  return isDeepStrictEqual(statements, [expected]);
}

function queueArn(url: string, { region, account }: Place): string {
  return `arn:aws:sqs:${region}:${account}:${url.slice(url.lastIndexOf('/') + 1)}`;
}
