import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { Match } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DynamoDenials } from '../../shared/adapters/aws/dynamo-denials.ts';
import { environmentNames, fanOutPrefixes, publishPrefixes } from '../../shared/config.ts';
import { testAuthority } from '../certificate-authority.ts';
import { exampleAuthorityPem } from './example-authority.ts';
import { instancesFolder } from './instance-file.ts';
import {
  actionsOf,
  allowed,
  type Statement,
  stackNames,
  synthesise,
  type Templates,
} from './synthesis.ts';

let directory: string;
let client: Templates;
let architect: Templates;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'stacks-'));
  const templatesOf = synthesise(join(directory, 'out'));
  client = templatesOf('client');
  architect = templatesOf('architect');
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

function terminationProtected(out: string, stage: string, stack: string): boolean {
  const manifest = JSON.parse(
    readFileSync(join(out, `assembly-${stage}`, 'manifest.json'), 'utf8'),
  );
  const artifacts: { readonly displayName?: string; readonly properties?: object }[] =
    Object.values(manifest.artifacts);
  const found = artifacts.find(({ displayName }) => displayName === `${stage}/${stack}`);
  return Object(found?.properties).terminationProtection === true;
}

describe('permissions', () => {
  test('nothing is allowed by a wildcard, and nothing on every resource', () => {
    const all = Object.values(client).flatMap(allowed);

    expect(all.length).toBeGreaterThan(20);
    expect(actionsOf(all).filter((action) => action.includes('*'))).toEqual([]);
    expect(all.filter(({ Resource }) => Resource === '*')).toEqual([]);
  });

  test('no function may delete or scan, nor change a stored object or a setting', () => {
    const { storage: _backups, ...working } = client;

    expect(actionsOf(Object.values(working).flatMap(allowed))).toEqual([
      'dynamodb:BatchGetItem',
      'dynamodb:DescribeStream',
      'dynamodb:DescribeTable',
      'dynamodb:GetItem',
      'dynamodb:GetRecords',
      'dynamodb:GetShardIterator',
      'dynamodb:PutItem',
      'dynamodb:Query',
      'dynamodb:UpdateItem',
      'events:PutEvents',
      'kms:Decrypt',
      'kms:DescribeKey',
      'kms:Encrypt',
      'kms:GenerateDataKey',
      'kms:ReEncryptFrom',
      'kms:ReEncryptTo',
      'logs:CreateLogStream',
      'logs:PutLogEvents',
      's3:GetObject',
      's3:ListBucket',
      's3:PutObject',
      'secretsmanager:GetSecretValue',
      'sqs:ChangeMessageVisibility',
      'sqs:DeleteMessage',
      'sqs:GetQueueAttributes',
      'sqs:ReceiveMessage',
      'sqs:SendMessage',
    ]);
  });

  test('only heads may be updated, never an entry, and of a transaction its details alone', () => {
    const updates = [client.replication, client.api]
      .flatMap(allowed)
      .filter((statement) => actionsOf([statement]).includes('dynamodb:UpdateItem'));
    const redacting = updates.filter((each) => JSON.stringify(each).includes('TRANSACTION#'));

    expect(redacting).toMatchObject([
      {
        Action: 'dynamodb:UpdateItem',
        Condition: {
          'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['TRANSACTION#*'] },
          'ForAllValues:StringEquals': {
            'dynamodb:Attributes': ['pk', 'sk', 'details', 'redaction'],
          },
        },
      },
    ]);
    expect(updates).toHaveLength(7);
    for (const statement of updates.filter((each) => !redacting.includes(each)))
      expect(statement).toMatchObject({
        Action: 'dynamodb:UpdateItem',
        Condition: {
          'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['HEAD#*', 'LOGHEAD#*'] },
        },
      });
  });

  /** The statements of each role that works, by the role's name. */
  function statementsByRole(): Record<string, Statement[]> {
    const policies = [client.replication, client.api, client.events].flatMap((template) =>
      Object.values(template.findResources('AWS::IAM::Policy')),
    );
    return Object.fromEntries(
      policies.map(({ Properties: { PolicyName, PolicyDocument } }) => [
        /^(\w+)RoleDefaultPolicy/.exec(PolicyName)?.[1],
        PolicyDocument.Statement,
      ]),
    );
  }

  /** The last part of each resource on which a role may do something, as far as `of` finds one. */
  function resourcesOf(statements: Statement[], action: string, of: RegExp): string[] {
    const found = statements
      .filter((each) => each.Effect === 'Allow' && actionsOf([each]).includes(action))
      .flatMap(({ Resource }) => [Resource].flat())
      .flatMap((resource) => of.exec(JSON.stringify(resource))?.[1] ?? []);
    return [...new Set(found)].sort();
  }

  test('a function pokes the queues that its code pokes, and no other', () => {
    const queue = /(Delivery|Fetch|FanOutFailures|PublishFailures)(?!DeadLetters)/;

    const poked = Object.entries(statementsByRole()).map(([role, statements]) => [
      role,
      resourcesOf(statements, 'sqs:SendMessage', queue),
    ]);
    expect(Object.fromEntries(poked)).toEqual({
      Api: [],
      Audit: [],
      Deliver: ['Delivery'],
      FanOut: ['Delivery', 'FanOutFailures', 'Fetch'],
      FetchDocuments: ['Fetch'],
      PeerApi: ['Delivery'],
      Publish: ['PublishFailures'],
      Sweep: ['Delivery', 'Fetch'],
    });
  });

  test('documents are put by who takes and who fetches them, and read by who shows or checks them', () => {
    const objects = /\/(documents|evidence)\/\*/;

    const granted = Object.entries(statementsByRole())
      .map(([role, statements]) => ({
        role,
        gets: resourcesOf(statements, 's3:GetObject', objects),
        puts: resourcesOf(statements, 's3:PutObject', objects),
      }))
      .filter(({ gets, puts }) => gets.length + puts.length > 0);
    const both = ['documents', 'evidence'];
    expect(granted.sort((a, b) => a.role.localeCompare(b.role))).toEqual([
      { role: 'Api', gets: both, puts: both },
      { role: 'Audit', gets: both, puts: ['evidence'] },
      { role: 'Deliver', gets: ['evidence'], puts: ['evidence'] },
      { role: 'FetchDocuments', gets: both, puts: both },
      { role: 'PeerApi', gets: both, puts: ['evidence'] },
    ]);
  });

  test('only the function that hears operators may rewrite the deny list', async () => {
    const sent: { readonly Item?: { readonly pk?: { readonly S?: string } } }[] = [];
    const send = async ({ input }: { input: object }) => sent.push(input);
    const store = new DynamoDenials({
      client: { send } as unknown as DynamoDBClient,
      tableName: 't',
    });
    await store.replace({ version: 1, denials: [] });

    const denied = Object.entries(statementsByRole())
      .filter(([, statements]) => actionsOf(statements).includes('dynamodb:PutItem'))
      .map(([role, statements]) => [role, statements.filter(({ Effect }) => Effect === 'Deny')]);
    const denial = {
      Effect: 'Deny',
      Action: 'dynamodb:PutItem',
      Resource: { 'Fn::ImportValue': expect.stringContaining('Ledger') },
      Condition: { 'ForAnyValue:StringEquals': { 'dynamodb:LeadingKeys': [sent[0]?.Item?.pk?.S] } },
    };
    expect(sent[0]?.Item?.pk?.S).toMatch(/^[A-Z]+$/);
    expect(Object.fromEntries(denied)).toEqual({
      Api: [],
      Audit: [denial],
      Deliver: [denial],
      FetchDocuments: [denial],
      PeerApi: [denial],
      Sweep: [denial],
    });
  });

  test.each(['FanOut'])('%s only reads the table', (name) => {
    const policies = client.replication.findResources('AWS::IAM::Policy', {
      Properties: { PolicyName: Match.stringLikeRegexp(`^${name}Role`) },
    });

    const statements = Object.values(policies).flatMap(
      (policy) => policy['Properties'].PolicyDocument.Statement,
    );
    expect(actionsOf(statements)).toContain('dynamodb:Query');
    expect(actionsOf(statements)).not.toContain('dynamodb:PutItem');
    expect(actionsOf(statements)).not.toContain('s3:PutObject');
  });

  test('publishing reads what events are made of, puts events on its own bus, and no more', () => {
    const granted = allowed(client.events).filter(
      (statement) => !actionsOf([statement]).some((action) => action.startsWith('logs:')),
    );

    expect(actionsOf(granted)).toEqual([
      'dynamodb:BatchGetItem',
      'dynamodb:DescribeStream',
      'dynamodb:GetItem',
      'dynamodb:GetRecords',
      'dynamodb:GetShardIterator',
      'dynamodb:Query',
      'events:PutEvents',
      'kms:Decrypt',
      'kms:DescribeKey',
      'kms:GenerateDataKey',
      'sqs:SendMessage',
    ]);
    const reads = granted.find(({ Action }) => Action.includes('dynamodb:GetItem'));
    expect(reads).toMatchObject({
      Condition: {
        'ForAllValues:StringLike': {
          'dynamodb:LeadingKeys': [
            'ENTRY#*',
            'CONFIRMATION#*',
            'CONFLICT#*',
            'OPENSET#*',
            'TRANSACTION#*',
            'HEAD#*',
          ],
        },
      },
    });
    const [bus] = Object.keys(client.events.findResources('AWS::Events::EventBus'));
    expect(granted).toContainEqual({
      Effect: 'Allow',
      Action: 'events:PutEvents',
      Resource: { 'Fn::GetAtt': [bus, 'Arn'] },
    });
  });

  test('only the function that answers applications may read the lists', () => {
    const mayRead = [client.replication, client.api, client.events].flatMap((template) =>
      Object.values(template.findResources('AWS::IAM::Policy'))
        .map(({ Properties }) => Properties)
        .filter(({ PolicyDocument }) => JSON.stringify(PolicyDocument).includes('/index/'))
        .map(({ PolicyName, PolicyDocument }) => ({ PolicyName, PolicyDocument })),
    );

    expect(mayRead).toHaveLength(1);
    expect(mayRead[0]?.PolicyName).toMatch(/^ApiRole/);
    const granted = mayRead[0]?.PolicyDocument.Statement.filter((statement: object) =>
      JSON.stringify(statement).includes('/index/'),
    );
    expect(granted).toMatchObject([{ Action: 'dynamodb:Query' }]);
    expect(JSON.stringify(granted[0].Resource)).toMatch(/\/index\/lists"/);
  });

  test('no managed policy is attached to a role', () => {
    for (const template of [client.storage, client.replication, client.api, client.events])
      template.allResourcesProperties('AWS::IAM::Role', { ManagedPolicyArns: Match.absent() });
  });
});

describe('storage', () => {
  test('the table streams new images, can be restored, and outlives its stack', () => {
    client.storage.hasResource('AWS::DynamoDB::Table', {
      Properties: {
        BillingMode: 'PAY_PER_REQUEST',
        DeletionProtectionEnabled: true,
        KeySchema: [
          { AttributeName: 'pk', KeyType: 'HASH' },
          { AttributeName: 'sk', KeyType: 'RANGE' },
        ],
        LocalSecondaryIndexes: Match.absent(),
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        StreamSpecification: { StreamViewType: 'NEW_IMAGE' },
      },
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
    });
  });

  test('the table has one index: of the items that are in a list, whole', () => {
    client.storage.hasResourceProperties('AWS::DynamoDB::Table', {
      AttributeDefinitions: Match.arrayWith([
        { AttributeName: 'list', AttributeType: 'S' },
        { AttributeName: 'at', AttributeType: 'S' },
      ]),
      GlobalSecondaryIndexes: [
        {
          IndexName: 'lists',
          KeySchema: [
            { AttributeName: 'list', KeyType: 'HASH' },
            { AttributeName: 'at', KeyType: 'RANGE' },
          ],
          Projection: { ProjectionType: 'ALL' },
        },
      ],
    });
  });

  test('the bucket is private, versioned, locked, and outlives its stack', () => {
    client.storage.hasResource('AWS::S3::Bucket', {
      Properties: {
        ObjectLockEnabled: true,
        ObjectLockConfiguration: {
          Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Years: 10 } },
        },
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        VersioningConfiguration: { Status: 'Enabled' },
      },
      DeletionPolicy: 'RetainExceptOnCreate',
      UpdateReplacePolicy: 'Retain',
    });
  });

  test('the bucket refuses plain HTTP, deletion, and objects that are put twice', () => {
    const id = Object.keys(client.storage.findResources('AWS::S3::Bucket')).find((each) =>
      each.startsWith('Objects'),
    );
    const bucket = { 'Fn::GetAtt': [id, 'Arn'] };
    const objects = { 'Fn::Join': ['', [bucket, '/*']] };
    client.storage.hasResourceProperties('AWS::S3::BucketPolicy', {
      Bucket: { Ref: id },
      PolicyDocument: {
        Statement: [
          {
            Action: 's3:*',
            Resource: [bucket, objects],
            Condition: { Bool: { 'aws:SecureTransport': 'false' } },
          },
          { Action: ['s3:DeleteObject', 's3:DeleteObjectVersion'], Resource: objects },
          {
            Action: 's3:PutObject',
            Resource: objects,
            Condition: {
              Null: { 's3:if-none-match': 'true' },
              Bool: { 's3:ObjectCreationOperation': 'true' },
            },
          },
        ].map((statement) =>
          Match.objectEquals({ Effect: 'Deny', Principal: { AWS: '*' }, ...statement }),
        ),
      },
    });
  });

  test('what holds state keeps it when its stack goes away, and the stack does not go by mistake', () => {
    const kept = ['keys', 'storage'].flatMap((name) => {
      expect(terminationProtected(join(directory, 'out'), 'client', name)).toBe(true);
      return Object.values(client[name as 'keys'].toJSON()['Resources']).filter(
        (each) => !/::(BackupPlan|BackupSelection|Trail)$|::CDK::/.test(Object(each).Type),
      );
    });

    expect(kept.map((each) => Object(each).Type).sort()).toEqual([
      'AWS::Backup::BackupVault',
      'AWS::DynamoDB::Table',
      'AWS::IAM::Policy',
      'AWS::IAM::Role',
      'AWS::KMS::Key',
      'AWS::KMS::Key',
      'AWS::S3::Bucket',
      'AWS::S3::Bucket',
      'AWS::S3::BucketPolicy',
      'AWS::S3::BucketPolicy',
      'AWS::SecretsManager::Secret',
    ]);
    for (const each of kept)
      expect(each).toMatchObject({
        // What a failed first deployment made is taken back, but for what is protected by itself.
        DeletionPolicy:
          Object(each).Type === 'AWS::DynamoDB::Table' ? 'Retain' : 'RetainExceptOnCreate',
        UpdateReplacePolicy: 'Retain',
      });
  });

  test('logs outlive their stack as well', () => {
    const logs = Object.values(client).flatMap((template) =>
      Object.values(template.findResources('AWS::Logs::LogGroup')),
    );

    expect(logs).toHaveLength(9);
    for (const each of logs)
      expect(each).toMatchObject({
        DeletionPolicy: 'RetainExceptOnCreate',
        UpdateReplacePolicy: 'Retain',
      });
  });

  test('the role of the backups makes, tags and deletes those of the table, and no more', () => {
    const policies = Object.values(client.storage.findResources('AWS::IAM::Policy'));

    expect(policies).toHaveLength(1);
    expect(actionsOf(allowed(client.storage))).toEqual([
      'backup:CopyIntoBackupVault',
      'backup:DescribeBackupVault',
      'backup:TagResource',
      'dynamodb:CreateBackup',
      'dynamodb:DeleteBackup',
      'dynamodb:DescribeBackup',
      'dynamodb:DescribeTable',
      'dynamodb:ListTagsOfResource',
      'dynamodb:StartAwsBackupJob',
      'kms:CreateGrant',
      'kms:Decrypt',
      'kms:DescribeKey',
      'kms:GenerateDataKey',
    ]);
    expect(allowed(client.storage)).toContainEqual({
      Effect: 'Allow',
      Action: 'backup:TagResource',
      Resource: 'arn:aws:backup:eu-central-1:111122223333:recovery-point:*',
    });
  });

  test('the secret of the key has no value and is under a key of the instance', () => {
    client.keys.hasResource('AWS::SecretsManager::Secret', {
      Properties: {
        SecretString: Match.absent(),
        GenerateSecretString: Match.absent(),
        KmsKeyId: { 'Fn::GetAtt': [Match.stringLikeRegexp('^State'), 'Arn'] },
      },
    });
  });

  test('a backup is made every week, and nobody deletes it before its time', () => {
    client.storage.hasResourceProperties('AWS::Backup::BackupPlan', {
      BackupPlan: {
        BackupPlanRule: [
          Match.objectLike({
            Lifecycle: { DeleteAfterDays: 98 },
            ScheduleExpression: 'cron(0 3 ? * SUN *)',
          }),
        ],
      },
    });
    client.storage.hasResourceProperties('AWS::Backup::BackupVault', {
      EncryptionKeyArn: Match.anyValue(),
      LockConfiguration: { MinRetentionDays: 98, ChangeableForDays: Match.absent() },
    });
    client.storage.hasResourceProperties('AWS::Backup::BackupSelection', {
      BackupSelection: {
        Resources: [{ 'Fn::GetAtt': [Match.stringLikeRegexp('^Ledger'), 'Arn'] }],
      },
    });
  });

  test('who writes to table, objects and settings is written down, where nobody deletes it', () => {
    const idOf = (type: string, beginning: string) =>
      Object.keys(client.storage.findResources(type)).find((id) => id.startsWith(beginning));
    const records = idOf('AWS::S3::Bucket', 'ChangesRecords');
    const arnOf = (id: string | undefined) => ({ 'Fn::GetAtt': [id, 'Arn'] });
    const inRecords = (path: string) => ({ 'Fn::Join': ['', [arnOf(records), path]] });
    const selected = (...fields: [Field: string, Choice: object][]) =>
      [...fields, ['readOnly', { Equals: ['false'] }] as const].map(([Field, choice]) => ({
        Field,
        ...choice,
      }));

    client.storage.hasResource('AWS::CloudTrail::Trail', {
      DependsOn: [idOf('AWS::S3::BucketPolicy', 'ChangesRecords')],
      Properties: {
        TrailName: 'registry-client',
        IsLogging: true,
        IsMultiRegionTrail: true,
        EnableLogFileValidation: true,
        S3BucketName: { Ref: records },
        AdvancedEventSelectors: [
          { FieldSelectors: selected(['eventCategory', { Equals: ['Management'] }]) },
          {
            FieldSelectors: selected(
              ['eventCategory', { Equals: ['Data'] }],
              ['resources.type', { Equals: ['AWS::DynamoDB::Table'] }],
              ['resources.ARN', { Equals: [arnOf(idOf('AWS::DynamoDB::Table', 'Ledger'))] }],
            ),
          },
          {
            FieldSelectors: selected(
              ['eventCategory', { Equals: ['Data'] }],
              ['resources.type', { Equals: ['AWS::S3::Object'] }],
              [
                'resources.ARN',
                {
                  StartsWith: [
                    { 'Fn::Join': ['', [arnOf(idOf('AWS::S3::Bucket', 'Objects')), '/']] },
                  ],
                },
              ],
            ),
          },
        ],
      },
    });
    const trail = 'arn:aws:cloudtrail:eu-central-1:111122223333:trail/registry-client';
    const Principal = { Service: 'cloudtrail.amazonaws.com' };
    client.storage.hasResourceProperties('AWS::S3::BucketPolicy', {
      Bucket: { Ref: records },
      PolicyDocument: {
        Statement: [
          Match.objectLike({ Effect: 'Deny', Action: 's3:*' }),
          {
            Effect: 'Allow',
            Principal,
            Action: 's3:GetBucketAcl',
            Resource: arnOf(records),
            Condition: { StringEquals: { 'aws:SourceArn': trail } },
          },
          {
            Effect: 'Allow',
            Principal,
            Action: 's3:PutObject',
            Resource: inRecords('/AWSLogs/111122223333/*'),
            Condition: {
              StringEquals: {
                'aws:SourceArn': trail,
                's3:x-amz-acl': 'bucket-owner-full-control',
              },
            },
          },
          {
            Effect: 'Deny',
            Principal: { AWS: '*' },
            Action: ['s3:DeleteObject', 's3:DeleteObjectVersion'],
            Resource: inRecords('/*'),
          },
        ],
      },
    });
  });

  test('state and behaviour are in stacks apart', () => {
    for (const template of [client.keys, client.storage])
      template.resourceCountIs('AWS::Lambda::Function', 0);
    for (const template of [client.replication, client.api, client.events, client.alarms])
      for (const type of [
        'AWS::DynamoDB::Table',
        'AWS::S3::Bucket',
        'AWS::SecretsManager::Secret',
        'AWS::KMS::Key',
      ])
        template.resourceCountIs(type, 0);
  });
});

describe('encryption', () => {
  const stateKey = { 'Fn::ImportValue': Match.stringLikeRegexp('client-keys:.*GetAttState') };

  test('table and objects are under the key of the state', () => {
    client.storage.hasResourceProperties('AWS::DynamoDB::Table', {
      SSESpecification: { KMSMasterKeyId: stateKey, SSEEnabled: true, SSEType: 'KMS' },
    });
    client.storage.hasResourceProperties('AWS::S3::Bucket', {
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [
          {
            BucketKeyEnabled: true,
            ServerSideEncryptionByDefault: { KMSMasterKeyID: stateKey, SSEAlgorithm: 'aws:kms' },
          },
        ],
      },
    });
  });

  test('every queue, log and topic is under the key of what passes, and takes TLS only', () => {
    const { keys: _keys, storage: _storage, ...working } = client;
    const properties = (type: string) =>
      Object.values(working).flatMap((template) =>
        Object.values(template.findResources(type)).map(({ Properties }) => Properties),
      );
    const key = { 'Fn::ImportValue': expect.stringMatching('client-keys:.*GetAttWork') };

    expect(properties('AWS::SQS::Queue')).toHaveLength(6);
    for (const each of ['AWS::SQS::Queue', 'AWS::SNS::Topic'].flatMap(properties))
      expect(each).toMatchObject({ KmsMasterKeyId: key });
    for (const each of properties('AWS::Logs::LogGroup'))
      expect(each).toMatchObject({ KmsKeyId: key });
    for (const each of ['AWS::SQS::QueuePolicy', 'AWS::SNS::TopicPolicy'].flatMap(properties))
      expect(each.PolicyDocument.Statement).toContainEqual(
        expect.objectContaining({
          Effect: 'Deny',
          Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        }),
      );
  });

  test('both keys are renewed each year; services may use only the one of what passes', () => {
    const keys = client.keys.findResources('AWS::KMS::Key');
    const principals = Object.entries(keys).map(([id, { Properties }]) => [
      id.replace(/[0-9A-F]{8}$/, ''),
      Properties.EnableKeyRotation,
      Properties.KeyPolicy.Statement.map((each: Record<string, object>) => each['Principal']),
    ]);

    const account = { AWS: 'arn:aws:iam::111122223333:root' };
    expect(principals).toEqual([
      ['State', true, [account]],
      [
        'Work',
        true,
        [
          account,
          { Service: 'logs.eu-central-1.amazonaws.com' },
          { Service: 'cloudwatch.amazonaws.com' },
        ],
      ],
    ]);
  });

  test('CloudWatch uses key and topic for the alarms of this instance only', () => {
    const condition = {
      StringEquals: { 'aws:SourceAccount': '111122223333' },
      ArnLike: {
        'aws:SourceArn': 'arn:aws:cloudwatch:eu-central-1:111122223333:alarm:client-alarms-*',
      },
    };
    const statement = (Action: string | string[]) =>
      Match.objectLike({
        Action,
        Condition: condition,
        Effect: 'Allow',
        Principal: { Service: 'cloudwatch.amazonaws.com' },
      });
    client.keys.hasResourceProperties('AWS::KMS::Key', {
      KeyPolicy: {
        Statement: Match.arrayWith([statement(['kms:Decrypt', 'kms:GenerateDataKey'])]),
      },
    });
    client.alarms.hasResourceProperties('AWS::SNS::TopicPolicy', {
      PolicyDocument: { Statement: Match.arrayWith([statement('sns:Publish')]) },
    });
  });

  test('logs use the key for the log groups of the stacks that have some', () => {
    const groups = Object.values(client).flatMap((template) =>
      Object.keys(template.findResources('AWS::Logs::LogGroup')),
    );
    const withGroups = stackNames.filter(
      (name) => Object.keys(client[name].findResources('AWS::Logs::LogGroup')).length > 0,
    );

    expect(groups).toHaveLength(9);
    client.keys.hasResourceProperties('AWS::KMS::Key', {
      KeyPolicy: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Condition: {
              ArnLike: {
                'kms:EncryptionContext:aws:logs:arn': Match.arrayEquals(
                  ['api', 'replication', 'events'].map((name) =>
                    Match.stringLikeRegexp(`:log-group:client-${name}-\\*$`),
                  ),
                ),
              },
            },
          }),
        ]),
      },
    });
    expect([...withGroups].sort()).toEqual(['api', 'events', 'replication']);
  });

  test('no role uses a key but through the service whose data it is', () => {
    // Grants are for services of AWS, and a description says nothing of the data.
    const free = ['kms:CreateGrant', 'kms:DescribeKey'];
    const used = Object.values(client)
      .flatMap(allowed)
      .filter((statement) =>
        actionsOf([statement]).some(
          (action) => action.startsWith('kms:') && !free.includes(action),
        ),
      );

    expect(used.length).toBeGreaterThan(15);
    for (const statement of used)
      expect(statement).toMatchObject({
        Condition: {
          StringEquals: {
            'kms:ViaService': expect.stringMatching(
              /^(dynamodb|s3|secretsmanager|sqs)\.eu-central-1\.amazonaws\.com$/,
            ),
          },
        },
      });
  });
});

describe('functions', () => {
  test('every function runs Node 24 on arm64, names its source and gets every variable', () => {
    const functions = [client.replication, client.api, client.events].flatMap((template) =>
      Object.values(template.findResources('AWS::Lambda::Function')),
    );

    expect(functions.map((each) => each['Metadata']['registry:entry']).sort()).toEqual([
      'functions/api.lambda.ts',
      'functions/audit.lambda.ts',
      'functions/deliver.lambda.ts',
      'functions/fan-out.lambda.ts',
      'functions/fetch-documents.lambda.ts',
      'functions/peer-api.lambda.ts',
      'functions/publish.lambda.ts',
      'functions/sweep.lambda.ts',
    ]);
    for (const { Properties } of functions) {
      expect(Properties).toMatchObject({ Runtime: 'nodejs24.x', Architectures: ['arm64'] });
      expect(Object.keys(Properties.Environment.Variables).sort()).toEqual(
        [...environmentNames].sort(),
      );
    }
  });

  /** How the stream wakes whoever it wakes: a bad record stops nothing. */
  function streamMapping(patterns: readonly object[]) {
    return {
      BatchSize: 100,
      BisectBatchOnFunctionError: true,
      DestinationConfig: { OnFailure: Match.anyValue() },
      FilterCriteria: { Filters: patterns.map((each) => ({ Pattern: JSON.stringify(each) })) },
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      MaximumRecordAgeInSeconds: 3600,
      MaximumRetryAttempts: 5,
      StartingPosition: 'TRIM_HORIZON',
    };
  }

  test('the stream wakes fan-out with new heads only, and a bad record stops nothing', () => {
    const patterns = fanOutPrefixes.map((prefix) => ({
      dynamodb: { Keys: { pk: { S: [{ prefix }] } } },
    }));

    client.replication.hasResourceProperties(
      'AWS::Lambda::EventSourceMapping',
      streamMapping(patterns),
    );
  });

  test('the stream wakes publish with new entries, confirmations and conflicts only', () => {
    const patterns = publishPrefixes.map((prefix) => ({
      eventName: ['INSERT'],
      dynamodb: { Keys: { pk: { S: [{ prefix }] } } },
    }));

    client.events.resourceCountIs('AWS::Lambda::EventSourceMapping', 1);
    client.events.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      ...streamMapping(patterns),
      // Nothing else finds again what is given up.
      MaximumRecordAgeInSeconds: 20 * 3600,
      MaximumRetryAttempts: 10_000,
    });
  });

  test('the stream has two readers, as many as it serves without slowing them down', () => {
    const mappings = [client.replication, client.api, client.events].flatMap((template) =>
      Object.values(template.findResources('AWS::Lambda::EventSourceMapping')),
    );

    const onStream = mappings.filter(({ Properties }) => 'StartingPosition' in Properties);
    expect(onStream).toHaveLength(2);
  });

  test('every instance has a bus named after it, which is there before anything is published', () => {
    for (const [name, { events }] of Object.entries({ client, architect })) {
      events.hasResourceProperties('AWS::Events::EventBus', { Name: `registry-${name}` });
      const [bus] = Object.keys(events.findResources('AWS::Events::EventBus'));
      events.hasResource('AWS::Lambda::Function', {
        Properties: { Environment: { Variables: { EVENT_BUS_NAME: `registry-${name}` } } },
        DependsOn: Match.arrayWith([bus]),
      });
    }
  });

  test('no other stack needs the one that publishes, so it holds up nobody', () => {
    for (const template of [client.storage, client.replication, client.api])
      expect(JSON.stringify(template.toJSON())).not.toContain('client-events');
  });

  test.each([
    {
      name: 'Deliver',
      entry: 'functions/deliver.lambda.ts',
      batchSize: 10,
      timeout: 60,
      visibility: 70,
    },
    {
      name: 'FetchDocuments',
      entry: 'functions/fetch-documents.lambda.ts',
      batchSize: 1,
      timeout: 900,
      visibility: 960,
    },
  ])('$name takes pokes in order and reports which of them failed', (expected) => {
    client.replication.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      BatchSize: expected.batchSize,
      FunctionName: { Ref: Match.stringLikeRegexp(`^${expected.name}`) },
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    });
    client.replication.hasResource('AWS::Lambda::Function', {
      Properties: { Timeout: expected.timeout },
      Metadata: { 'registry:entry': expected.entry },
    });
    client.replication.hasResourceProperties('AWS::SQS::Queue', {
      FifoQueue: true,
      VisibilityTimeout: expected.visibility,
      RedrivePolicy: { maxReceiveCount: 5 },
    });
  });

  test('only what pokes the queue that wakes it may be woken by itself again and again', () => {
    const functions = Object.values(client).flatMap((template) =>
      Object.values(template.findResources('AWS::Lambda::Function')),
    );

    expect(
      functions
        .filter(({ Properties }) => Properties.RecursiveLoop !== undefined)
        .map(({ Metadata, Properties }) => [Metadata['registry:entry'], Properties.RecursiveLoop])
        .sort(),
    ).toEqual([
      ['functions/deliver.lambda.ts', 'Allow'],
      ['functions/fetch-documents.lambda.ts', 'Allow'],
    ]);
  });

  test('the sweep runs every minute', () => {
    client.replication.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(1 minute)',
      State: 'ENABLED',
    });
  });
});

describe('the audit', () => {
  test('runs every quarter of an hour, and may take as long', () => {
    client.replication.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(15 minutes)',
      State: 'ENABLED',
    });
    client.replication.hasResource('AWS::Lambda::Function', {
      Properties: { Timeout: 900 },
      Metadata: { 'registry:entry': 'functions/audit.lambda.ts' },
    });
  });

  test('reads documents, and writes what it found', () => {
    const policies = client.replication.findResources('AWS::IAM::Policy', {
      Properties: { PolicyName: Match.stringLikeRegexp('^AuditRole') },
    });

    const statements = Object.values(policies).flatMap(
      (policy) => policy['Properties'].PolicyDocument.Statement,
    );
    expect(actionsOf(statements)).toEqual(
      expect.arrayContaining(['dynamodb:PutItem', 's3:GetObject', 's3:PutObject']),
    );
  });
});

describe('the way in', () => {
  test('peers and everybody else have routes of their own, and no other way leads in', () => {
    const routes = Object.values(client.api.findResources('AWS::ApiGatewayV2::Route'));

    expect(routes.map(({ Properties }) => Properties.RouteKey).sort()).toEqual([
      '$default',
      'ANY /v1/peer/{proxy+}',
    ]);
    client.api.hasResourceProperties('AWS::ApiGatewayV2::Api', {
      DisableExecuteApiEndpoint: true,
      ProtocolType: 'HTTP',
    });
    client.api.allResourcesProperties('AWS::ApiGatewayV2::Integration', {
      PayloadFormatVersion: '2.0',
    });
  });

  test('the domain speaks mutual TLS 1.2 with a truststore named by its content', () => {
    client.api.hasResourceProperties('AWS::ApiGatewayV2::DomainName', {
      DomainName: 'registry.client.example',
      DomainNameConfigurations: [
        Match.objectLike({
          EndpointType: 'REGIONAL',
          OwnershipVerificationCertificateArn: Match.stringLikeRegexp('000000000002$'),
          SecurityPolicy: 'TLS_1_2',
        }),
      ],
      MutualTlsAuthentication: { TruststoreUri: Match.stringLikeRegexp('/[0-9a-f]{64}\\.pem$') },
    });
    client.api.resourceCountIs('AWS::Route53::RecordSet', 1);
    architect.api.resourceCountIs('AWS::Route53::RecordSet', 0);
  });

  test('the access log holds these fields and no other: no query strings, no names of persons', () => {
    const [stage] = Object.values(client.api.findResources('AWS::ApiGatewayV2::Stage'));

    expect(JSON.parse(stage?.['Properties'].AccessLogSettings.Format)).toEqual({
      requestId: '$context.requestId',
      time: '$context.requestTime',
      routeKey: '$context.routeKey',
      path: '$context.path',
      status: '$context.status',
      responseBytes: '$context.responseLength',
      latencyMs: '$context.responseLatency',
      sourceIp: '$context.identity.sourceIp',
      certificateSerialNumber: '$context.identity.clientCert.serialNumber',
      error: '$context.error.message',
    });
  });

  test('the gateway lets through what the file says, and sends the rest away', () => {
    client.api.hasResourceProperties('AWS::ApiGatewayV2::Stage', {
      DefaultRouteSettings: { ThrottlingBurstLimit: 1000, ThrottlingRateLimit: 500 },
    });
  });
});

describe('the settings of an instance', () => {
  const DOMAIN = {
    domainName: 'registry.client.example',
    serverCertificateArn: 'arn:aws:acm:eu-central-1:111122223333:certificate/1',
    ownershipCertificateArn: 'arn:aws:acm:eu-central-1:111122223333:certificate/2',
  };
  let count = 0;

  function synthesiseWith(changes: Record<string, unknown>, context: Record<string, unknown>) {
    count += 1;
    const instances = instancesFolder(join(directory, `instances-${count}`), changes);
    return synthesise(join(instances, 'out'), { ...context, instances })('client');
  }

  test('for an emulator there is neither a domain, a truststore, a backup, a trail nor an account', () => {
    const { api, storage, keys } = synthesiseWith(
      { account: '111122223333', region: 'eu-central-1' },
      { emulator: 'true' },
    );

    api.resourceCountIs('AWS::ApiGatewayV2::DomainName', 0);
    api.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: true });
    expect(JSON.stringify(storage.toJSON())).not.toMatch(/AWS::(Backup|CloudTrail)/);
    expect(JSON.stringify(keys.toJSON())).not.toContain('111122223333');
    const out = join(directory, `instances-${count}`, 'out');
    expect(terminationProtected(out, 'client', 'keys')).toBe(false);
  });

  test('compliance mode locks objects and backups for ever, for as long as the file says', () => {
    const { storage, api, events } = synthesiseWith(
      {
        ...DOMAIN,
        objectLockMode: 'compliance',
        objectLockDays: 7,
        backupRetentionDays: 35,
        logRetentionDays: 365,
        apiConcurrency: 20,
        tags: { 'cost-center': '4711' },
      },
      {},
    );

    storage.hasResourceProperties('AWS::S3::Bucket', {
      ObjectLockConfiguration: { Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 7 } } },
    });
    storage.hasResourceProperties('AWS::Backup::BackupVault', {
      LockConfiguration: { MinRetentionDays: 35, ChangeableForDays: 3 },
    });
    api.allResourcesProperties('AWS::Lambda::Function', { ReservedConcurrentExecutions: 20 });
    events.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 365 });
    events.hasResourceProperties('AWS::Lambda::Function', {
      Tags: [
        { Key: 'cost-center', Value: '4711' },
        { Key: 'registry-instance', Value: 'client' },
      ],
    });
  });

  test('another CA is another truststore, and the same one the same', () => {
    const uriWith = (clusterCa: string) =>
      Object.values(
        synthesiseWith({ ...DOMAIN, clusterCa }, {}).api.findResources(
          'AWS::ApiGatewayV2::DomainName',
        ),
      ).map(({ Properties }) =>
        JSON.stringify(Properties.MutualTlsAuthentication).replace(
          /^.*([0-9a-f]{64}\.pem).*$/,
          '$1',
        ),
      );
    const first = uriWith(exampleAuthorityPem);

    expect(first).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.pem$/)]);
    expect(uriWith(exampleAuthorityPem)).toEqual(first);
    expect(uriWith(testAuthority().certificatePem)).not.toEqual(first);
  });

  test('a custom domain without its name is refused', () => {
    expect(() => synthesiseWith({}, {})).toThrow(/client\.json: domainName is missing: give it/);
  });

  test('more settings than the environment of a function holds are refused', () => {
    const many = Array.from({ length: 60 }, (_, index) => String(index).padStart(64, '0'));

    expect(() => synthesiseWith({ denied: many }, { emulator: true })).toThrow(
      /client\.json: the settings take about \d+ bytes of environment, Lambda takes 4096/,
    );
  });

  test('how long a mirror may be behind is what the file says', () => {
    const { alarms } = synthesiseWith({ lagAlarmMinutes: 10 }, { emulator: true });

    alarms.hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: 'PeerLagSeconds',
      Threshold: 600,
    });
  });

  test('within how many days everything is audited is what the file says, or 30', () => {
    for (const [changes, days] of [
      [{ auditPeriodDays: 7 }, '7'],
      [{}, '30'],
    ] as const)
      synthesiseWith(changes, { emulator: true }).replication.hasResourceProperties(
        'AWS::Lambda::Function',
        { Environment: { Variables: { AUDIT_PERIOD_DAYS: days } } },
      );
  });

  test('a context flag that is neither true nor false is refused', () => {
    expect(() => synthesiseWith({}, { emulator: 'no' })).toThrow(
      'context "emulator" is "no": give true or false',
    );
  });
});
