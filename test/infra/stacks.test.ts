import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Match } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { environmentNames, fanOutPrefixes, publishPrefixes } from '../../shared/config.ts';
import { exampleAuthorityPem } from './example-authority.ts';
import { actionsOf, allowed, synthesise, type Templates } from './synthesis.ts';

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

describe('permissions', () => {
  test('nothing is allowed by a wildcard, and nothing on every resource', () => {
    const all = Object.values(client).flatMap(allowed);

    expect(all.length).toBeGreaterThan(20);
    expect(actionsOf(all).filter((action) => action.includes('*'))).toEqual([]);
    expect(all.filter(({ Resource }) => Resource === '*')).toEqual([]);
  });

  test('no function may delete or scan, nor change a stored object or a setting', () => {
    const all = actionsOf(Object.values(client).flatMap(allowed));

    expect(all).toEqual([
      'dynamodb:BatchGetItem',
      'dynamodb:ConditionCheckItem',
      'dynamodb:DescribeStream',
      'dynamodb:DescribeTable',
      'dynamodb:GetItem',
      'dynamodb:GetRecords',
      'dynamodb:GetShardIterator',
      'dynamodb:PutItem',
      'dynamodb:Query',
      'dynamodb:UpdateItem',
      'events:PutEvents',
      'logs:CreateLogStream',
      'logs:PutLogEvents',
      's3:GetObject',
      's3:ListBucket',
      's3:PutObject',
      'secretsmanager:GetSecretValue',
      'sqs:ChangeMessageVisibility',
      'sqs:DeleteMessage',
      'sqs:GetQueueAttributes',
      'sqs:GetQueueUrl',
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
      'sqs:GetQueueAttributes',
      'sqs:GetQueueUrl',
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
    for (const template of [client.replication, client.api, client.events])
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
          Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 3650 } },
        },
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        VersioningConfiguration: { Status: 'Enabled' },
      },
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
    });
  });

  test('the bucket refuses plain HTTP, deletion, and objects that are put twice', () => {
    client.storage.hasResourceProperties('AWS::S3::BucketPolicy', {
      PolicyDocument: {
        Statement: [
          { Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } },
          { Effect: 'Deny', Action: ['s3:DeleteObject', 's3:DeleteObjectVersion'] },
          { Effect: 'Deny', Action: 's3:PutObject', Condition: { Null: {} } },
        ].map((statement) => Match.objectLike(statement)),
      },
    });
  });

  test('the secret of the key has no value and outlives its stack', () => {
    client.storage.hasResource('AWS::SecretsManager::Secret', {
      Properties: { SecretString: Match.absent(), GenerateSecretString: Match.absent() },
      DeletionPolicy: 'Retain',
    });
  });

  test('the storage stack holds no function, the others hold no table, bucket or secret', () => {
    client.storage.resourceCountIs('AWS::Lambda::Function', 0);
    for (const template of [client.replication, client.api, client.events, client.alarms])
      for (const type of ['AWS::DynamoDB::Table', 'AWS::S3::Bucket', 'AWS::SecretsManager::Secret'])
        template.resourceCountIs(type, 0);
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

  test('the access log has no query strings', () => {
    client.api.hasResourceProperties('AWS::ApiGatewayV2::Stage', {
      StageName: '$default',
      AccessLogSettings: { Format: Match.not(Match.stringLikeRegexp('query|protocol')) },
    });
  });
});

describe('the settings of an instance', () => {
  function synthesiseWith(changes: Record<string, unknown>, context: Record<string, unknown>) {
    const instances = mkdtempSync(join(directory, 'instances-'));
    const instance = {
      name: 'client',
      clusterCa: exampleAuthorityPem,
      applications: [],
      operators: [],
      auditors: [],
      denied: [],
      admittedLeads: 'any',
      ...changes,
    };
    writeFileSync(join(instances, 'client.json'), JSON.stringify(instance));
    return synthesise(join(instances, 'out'), { ...context, instances })('client');
  }

  test('without a custom domain there is neither a domain nor a truststore', () => {
    const { api } = synthesiseWith({}, { customDomain: 'false' });

    api.resourceCountIs('AWS::ApiGatewayV2::DomainName', 0);
    api.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: true });
  });

  test('a custom domain without its name is refused', () => {
    expect(() => synthesiseWith({}, {})).toThrow(/client\.json: domainName is missing: give it/);
  });

  test('more settings than the environment of a function holds are refused', () => {
    const many = Array.from({ length: 60 }, (_, index) => String(index).padStart(64, '0'));

    expect(() => synthesiseWith({ denied: many }, { customDomain: false })).toThrow(
      /client\.json: the settings take about \d+ bytes of environment, Lambda takes 4096/,
    );
  });

  test('how long a mirror may be behind is what the file says', () => {
    const { alarms } = synthesiseWith({ lagAlarmMinutes: 10 }, { customDomain: false });

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
      synthesiseWith(changes, { customDomain: false }).replication.hasResourceProperties(
        'AWS::Lambda::Function',
        { Environment: { Variables: { AUDIT_PERIOD_DAYS: days } } },
      );
  });

  test('a context flag that is neither true nor false is refused', () => {
    expect(() => synthesiseWith({}, { customDomain: 'no' })).toThrow(
      'context "customDomain" is "no": give true or false',
    );
  });
});
