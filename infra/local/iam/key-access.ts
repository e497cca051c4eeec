/**
 * What a service does with the customer's own key on behalf of whoever calls it (AWS: "How … uses AWS
 * KMS" of each service; Amazon SQS: "Configuring AWS KMS permissions"). DynamoDB does more with the key
 * of a table when the table is made; of that nothing is asked of whoever uses the table.
 */
import type { AccessRequest } from './evaluate.ts';

const KEY_ACTIONS: Readonly<Record<string, readonly string[]>> = {
  'dynamodb:BatchGetItem': ['Decrypt'],
  'dynamodb:BatchWriteItem': ['Decrypt'],
  'dynamodb:ConditionCheckItem': ['Decrypt'],
  'dynamodb:DeleteItem': ['Decrypt'],
  'dynamodb:GetItem': ['Decrypt'],
  'dynamodb:GetRecords': ['Decrypt'],
  'dynamodb:PutItem': ['Decrypt'],
  'dynamodb:Query': ['Decrypt'],
  'dynamodb:Scan': ['Decrypt'],
  'dynamodb:UpdateItem': ['Decrypt'],
  's3:GetObject': ['Decrypt'],
  's3:PutObject': ['GenerateDataKey'],
  'secretsmanager:GetSecretValue': ['Decrypt'],
  'sqs:ReceiveMessage': ['Decrypt'],
  'sqs:SendMessage': ['GenerateDataKey', 'Decrypt'],
};

export interface KeyPlace {
  readonly region: string;
  readonly account: string;
  /** ARN of the key of a table, a queue, a bucket or a secret, by its ARN. */
  readonly keys: ReadonlyMap<string, string>;
}

/** The rights on a key that a request needs as well; none where no key of the customer is used. */
export function keyAccess({ action, resource }: AccessRequest, place: KeyPlace): AccessRequest[] {
  const { region, account, keys } = place;
  const key = keys.get(holderOf(resource));
  if (key === undefined) return [];
  const [service = ''] = action.split(':');
  const context = {
    'kms:calleraccount': [account],
    'kms:viaservice': [`${service}.${region}.amazonaws.com`],
  };
  return (KEY_ACTIONS[action] ?? []).map((operation) => ({
    action: `kms:${operation}`,
    resource: key,
    context,
  }));
}

/** An object is under the key of its bucket, an index or a stream under the key of its table. */
export function holderOf(arn: string): string {
  if (arn.startsWith('arn:aws:s3:::')) return arn.replace(/\/.*$/s, '');
  return arn.replace(/\/(index|stream)\/.*$/s, '');
}
