import { expect, test } from 'vitest';
import { type AccessRequest, decide, grantsOf } from '../../../../infra/local/iam/evaluate.ts';
import {
  parseIdentityPolicy,
  parseResourcePolicy,
  type ResourceStatement,
} from '../../../../infra/local/iam/policy.ts';

const ROLE = 'arn:aws:iam::000000000000:role/deliver';
const TABLE = 'arn:aws:dynamodb:eu-central-1:000000000000:table/ledger';
const QUEUE = 'arn:aws:sqs:eu-central-1:000000000000:poke.fifo';
const KEY = 'arn:aws:kms:eu-central-1:000000000000:key/state';

type Members = Readonly<Record<string, unknown>>;

function document(...statements: readonly Members[]) {
  return { Version: '2012-10-17', Statement: statements };
}

function allow(Action: unknown, Resource: unknown, more: Members = {}): Members {
  return { Effect: 'Allow', Action, Resource, ...more };
}

function request(action: string, resource: string, context = {}): AccessRequest {
  return { action, resource, context };
}

function judge(asked: AccessRequest, identity: readonly Members[], own: readonly Members[] = []) {
  const statements = parseIdentityPolicy(document(...identity));
  const ofResource: readonly ResourceStatement[] =
    own.length === 0 ? [] : parseResourcePolicy(document(...own));
  const decision = decide(asked, {
    roleArn: ROLE,
    denials: statements.filter(({ effect }) => effect === 'Deny'),
    grants: grantsOf(statements),
    ofResource: () => ofResource,
  });
  return decision.outcome === 'allowed' ? 'allowed' : decision.why;
}

const no = (action: string, kind = 'identity') =>
  `because no ${kind}-based policy allows the ${action} action`;

test.each<[string, AccessRequest, Members[], string]>([
  ['nothing is allowed by itself', request('dynamodb:GetItem', TABLE), [], no('dynamodb:GetItem')],
  [
    'the named action on the named resource',
    request('dynamodb:GetItem', TABLE),
    [allow('dynamodb:GetItem', TABLE)],
    'allowed',
  ],
  [
    'capitals of an action make no difference',
    request('dynamodb:GetItem', TABLE),
    [allow('DynamoDB:getitem', TABLE)],
    'allowed',
  ],
  [
    'an action that begins alike is another one',
    request('sqs:SendMessageBatch', QUEUE),
    [allow('sqs:SendMessage', QUEUE)],
    no('sqs:SendMessageBatch'),
  ],
  [
    'a dot is a dot',
    request('sqs:SendMessage', QUEUE.replace('.', 'x')),
    [allow('sqs:SendMessage', QUEUE)],
    no('sqs:SendMessage'),
  ],
  [
    'an index is not its table',
    request('dynamodb:Query', `${TABLE}/index/lists`),
    [allow('dynamodb:Query', TABLE)],
    no('dynamodb:Query'),
  ],
  [
    'a wildcard in the action and at the end of the resource',
    request('dynamodb:Query', `${TABLE}/index/lists`),
    [allow('dynamodb:Q*', `${TABLE}/*`)],
    'allowed',
  ],
  [
    'a wildcard before the name does not reach over colons',
    request('dynamodb:Query', TABLE),
    [allow('dynamodb:Query', 'arn:aws:dynamodb:*:table/ledger:*:*')],
    no('dynamodb:Query'),
  ],
  [
    'all but the named actions',
    request('dynamodb:DeleteItem', TABLE),
    [{ Effect: 'Allow', NotAction: 'dynamodb:Delete*', Resource: '*' }],
    no('dynamodb:DeleteItem'),
  ],
  [
    'all but the named resources',
    request('dynamodb:GetItem', TABLE),
    [{ Effect: 'Allow', Action: 'dynamodb:GetItem', NotResource: `${TABLE}/*` }],
    'allowed',
  ],
  [
    'a denial counts more than what allows',
    request('dynamodb:GetItem', TABLE),
    [allow('*', '*'), { Effect: 'Deny', Action: 'dynamodb:*', Resource: TABLE }],
    'with an explicit deny in an identity-based policy',
  ],
])('%s', (_, asked, identity, expected) => {
  expect(judge(asked, identity)).toBe(expected);
});

const leading = (operator: string, ...values: string[]) => ({
  Condition: { [operator]: { 'dynamodb:LeadingKeys': values } },
});

test.each<[string, Members, Record<string, string[]>, boolean]>([
  [
    'one that matches',
    leading('ForAllValues:StringLike', 'HEAD#*'),
    { 'dynamodb:leadingkeys': ['HEAD#1'] },
    true,
  ],
  [
    'one of two does not',
    leading('ForAllValues:StringLike', 'HEAD#*'),
    { 'dynamodb:leadingkeys': ['HEAD#1', 'ENTRY#1'] },
    false,
  ],
  [
    'each by another pattern',
    leading('ForAllValues:StringLike', 'HEAD#*', 'ENTRY#*'),
    { 'dynamodb:leadingkeys': ['HEAD#1', 'ENTRY#1'] },
    true,
  ],
  ['none at all: AWS lets that pass', leading('ForAllValues:StringLike', 'HEAD#*'), {}, true],
  [
    'any of two',
    leading('ForAnyValue:StringEquals', 'B'),
    { 'dynamodb:leadingkeys': ['A', 'B'] },
    true,
  ],
  ['any of none', leading('ForAnyValue:StringEquals', 'B'), {}, false],
  [
    'a star is a star in StringEquals',
    leading('ForAllValues:StringEquals', 'HEAD#*'),
    { 'dynamodb:leadingkeys': ['HEAD#1'] },
    false,
  ],
  [
    'a negated one with no match',
    { Condition: { StringNotEquals: { 'kms:ViaService': ['a', 'b'] } } },
    { 'kms:viaservice': ['c'] },
    true,
  ],
  [
    'a negated one with a match',
    { Condition: { StringNotEquals: { 'kms:ViaService': ['a', 'b'] } } },
    { 'kms:viaservice': ['b'] },
    false,
  ],
  [
    'a negated one without the key',
    { Condition: { StringNotEquals: { 'kms:ViaService': 'a' } } },
    {},
    true,
  ],
  ['a key that is missing', { Condition: { StringEquals: { 'kms:ViaService': 'a' } } }, {}, false],
  [
    'IfExists of one that is missing',
    { Condition: { StringEqualsIfExists: { 'kms:ViaService': 'a' } } },
    {},
    true,
  ],
  [
    'Bool',
    { Condition: { Bool: { 'aws:SecureTransport': 'true' } } },
    { 'aws:securetransport': ['true'] },
    true,
  ],
  [
    'Bool with the other value',
    { Condition: { Bool: { 'aws:SecureTransport': false } } },
    { 'aws:securetransport': ['true'] },
    false,
  ],
  [
    'Null of one that is missing',
    { Condition: { Null: { 's3:if-none-match': 'true' } } },
    {},
    true,
  ],
  [
    'Null of one that is there',
    { Condition: { Null: { 's3:if-none-match': 'true' } } },
    { 's3:if-none-match': ['*'] },
    false,
  ],
  [
    'one of two conditions',
    {
      Condition: { Null: { 's3:if-none-match': 'true' }, Bool: { 'aws:SecureTransport': 'false' } },
    },
    { 'aws:securetransport': ['true'] },
    false,
  ],
])('condition: %s', (_, condition, context, holds) => {
  const outcome = judge(request('s3:PutObject', 'arn:aws:s3:::b/k', context), [
    allow('s3:PutObject', '*', condition),
  ]);

  expect(outcome).toBe(holds ? 'allowed' : no('s3:PutObject'));
});

test.each<[string, Members, RegExp]>([
  [
    'an operator',
    allow('s3:GetObject', '*', { Condition: { DateLessThan: { 'aws:SecureTransport': 'x' } } }),
    /operator DateLessThan/,
  ],
  [
    'a condition key',
    allow('s3:GetObject', '*', { Condition: { Bool: { 'aws:ViaAWSService': 'true' } } }),
    /key aws:ViaAWSService/,
  ],
  [
    'several values without a set',
    allow('dynamodb:GetItem', '*', leading('StringEquals', 'A')),
    /needs ForAllValues/,
  ],
  [
    'a policy variable',
    allow('s3:GetObject', `arn:aws:s3:::b/${'$'}{aws:username}`),
    /policy variable/,
  ],
  ['a service', allow('states:StartExecution', '*'), /states:StartExecution/],
  ['an element', allow('s3:GetObject', '*', { Principal: '*' }), /element Principal/],
  ['a resource', allow('s3:GetObject', 'bucket'), /no ARN/],
  [
    'neither resource',
    { Effect: 'Allow', Action: 's3:GetObject' },
    /either Resource or NotResource/,
  ],
  ['an effect', { Effect: 'allow', Action: 's3:GetObject', Resource: '*' }, /effect allow/],
])('%s that is not known is an error, not an omission', (_, statement, message) => {
  expect(() => parseIdentityPolicy(document(statement))).toThrow(message);
});

const account = { Principal: { AWS: 'arn:aws:iam::000000000000:root' } };
const denied = { Effect: 'Deny', Action: 'sqs:*', Resource: '*' };

test.each<[string, string, [identity: Members[], own: Members[]], string]>([
  [
    'a queue that everybody may fill',
    'sqs:SendMessage',
    [[], [allow('sqs:SendMessage', QUEUE, { Principal: '*' })]],
    'allowed',
  ],
  [
    'a queue that another role may fill',
    'sqs:SendMessage',
    [[], [allow('sqs:SendMessage', QUEUE, { Principal: { AWS: `${ROLE}-2` } })]],
    no('sqs:SendMessage'),
  ],
  [
    'a queue that denies',
    'sqs:SendMessage',
    [[allow('sqs:*', '*')], [{ ...denied, Principal: { AWS: '*' } }]],
    'with an explicit deny in a resource-based policy',
  ],
  [
    'a queue that denies a service, on a condition that is not known',
    'sqs:SendMessage',
    [
      [allow('sqs:*', '*')],
      [{ ...denied, Principal: { Service: 'sns.amazonaws.com' }, Condition: { Odd: { a: 'b' } } }],
    ],
    'allowed',
  ],
  [
    'a key whose policy says nothing',
    'kms:Decrypt',
    [[allow('kms:Decrypt', KEY)], []],
    no('kms:Decrypt', 'resource'),
  ],
  [
    'a key that leaves it to the account',
    'kms:Decrypt',
    [[allow('kms:Decrypt', KEY)], [allow('kms:*', '*', account)]],
    'allowed',
  ],
  [
    'a key that leaves it to the account, and no policy of the role',
    'kms:Decrypt',
    [[], [allow('kms:*', '*', account)]],
    no('kms:Decrypt'),
  ],
])("a resource's own policy: %s", (_, action, [identity, own], expected) => {
  const resource = action.startsWith('kms:') ? KEY : QUEUE;

  expect(judge(request(action, resource), identity, own)).toBe(expected);
});

test('a principal that is not known is an error', () => {
  const statement = allow('s3:GetObject', '*', { Principal: { Federated: 'x' } });

  expect(() => parseResourcePolicy(document(statement))).toThrow(/Federated/);
});
