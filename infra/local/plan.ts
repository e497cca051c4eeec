/** What the templates of one instance ask for, in the terms of the local runner. */
import { attributesOf, type Place } from './deployed-names.ts';
import { planRights, type RightsPlan } from './plan-rights.ts';
import { type ResourceProperties, readAll } from './resource-properties.ts';
import { type Resource, type StackTemplate, TemplateReader } from './template.ts';

export interface InstancePlan {
  readonly tables: readonly TablePlan[];
  readonly queues: readonly QueuePlan[];
  readonly buckets: readonly string[];
  readonly secretArns: readonly string[];
  readonly buses: readonly BusPlan[];
  readonly functions: readonly FunctionPlan[];
  readonly streams: readonly StreamMapping[];
  readonly pokes: readonly QueueMapping[];
  readonly schedules: readonly Schedule[];
  readonly routes: readonly Route[];
  readonly rights: RightsPlan;
}

export interface TablePlan {
  readonly name: string;
  /** Stands for the stream in the templates; the real one is known once the table is there. */
  readonly streamArn: string;
  readonly keySchema: readonly unknown[];
  readonly attributeDefinitions: readonly unknown[];
  readonly streamViewType: string | undefined;
  /** As CreateTable takes them. */
  readonly globalSecondaryIndexes: readonly Readonly<Record<string, unknown>>[];
}

export interface QueuePlan {
  readonly name: string;
  readonly arn: string;
  readonly url: string;
  /** As SQS's CreateQueue takes them. */
  readonly attributes: Readonly<Record<string, string>>;
}

export interface BusPlan {
  readonly name: string;
  readonly arn: string;
}

export interface FunctionPlan {
  readonly name: string;
  readonly arn: string;
  readonly roleArn: string;
  /** Path of the source from the root of the repository; it exports `handler`. */
  readonly entry: string;
  readonly timeoutMs: number;
  readonly environment: Readonly<Record<string, string>>;
}

export interface StreamMapping {
  readonly functionName: string;
  readonly streamArn: string;
  readonly batchSize: number;
  readonly bisect: boolean;
  readonly partialFailures: boolean;
  readonly retriesMax: number;
  readonly recordAgeSecondsMax: number;
  /** Where what was given up goes; absent: nowhere. */
  readonly failureQueueArn?: string;
  /** A record is handed on when any matches; none: all are. */
  readonly patterns: readonly unknown[];
}

export interface QueueMapping {
  readonly functionName: string;
  readonly queueArn: string;
  readonly batchSize: number;
  readonly partialFailures: boolean;
  readonly concurrencyMax: number;
}

export interface Schedule {
  readonly name: string;
  readonly seconds: number;
  readonly functionName: string;
}

export interface Route {
  /** `$default`, or method and path as API Gateway writes them: `ANY /v1/peer/{proxy+}`. */
  readonly key: string;
  readonly functionName: string;
}

/** Lambda's own default where a mapping of a queue does not limit it. */
const CONCURRENCY_MAX = 10;

/** They keep others out, keep things for later, or watch: on this machine nothing depends on them. */
const IGNORED_TYPES = new Set([
  'AWS::ApiGatewayV2::Stage',
  'AWS::CDK::Metadata',
  'AWS::CloudWatch::Alarm',
  'AWS::CloudWatch::Dashboard',
  'AWS::Lambda::Permission',
  'AWS::Logs::LogGroup',
  'AWS::SNS::Subscription',
  'AWS::SNS::Topic',
  'AWS::SNS::TopicPolicy',
]);

/**
 * By type, the properties that make no difference on this machine. Nothing is encrypted here; the
 * rights on keys are checked.
 */
const IGNORED_PROPERTIES: Readonly<Record<string, readonly string[]>> = {
  'AWS::ApiGatewayV2::Api': ['DisableExecuteApiEndpoint', 'Name'],
  'AWS::ApiGatewayV2::Integration': ['ApiId'],
  'AWS::ApiGatewayV2::Route': ['ApiId', 'AuthorizationType'],
  'AWS::DynamoDB::Table': [
    'BillingMode',
    'DeletionProtectionEnabled',
    'PointInTimeRecoverySpecification',
    'SSESpecification',
  ],
  'AWS::Lambda::Function': [
    'Architectures',
    'Code',
    'Handler',
    'LoggingConfig',
    'MemorySize',
    'RecursiveLoop',
    'ReservedConcurrentExecutions',
    'Runtime',
  ],
  // The runner begins a stream where its own memory of it ends.
  'AWS::Lambda::EventSourceMapping': ['StartingPosition'],
  'AWS::S3::Bucket': [
    'BucketEncryption',
    'ObjectLockConfiguration',
    'ObjectLockEnabled',
    'OwnershipControls',
    'PublicAccessBlockConfiguration',
    'VersioningConfiguration',
  ],
  'AWS::SecretsManager::Secret': ['Description', 'KmsKeyId'],
  'AWS::SQS::Queue': ['KmsDataKeyReusePeriodSeconds', 'KmsMasterKeyId'],
};

/** Of every type: the bill is split by them. */
const TAGS = 'Tags';

const SECONDS: Readonly<Record<string, number>> = { minute: 60, hour: 3600, day: 86_400 };

const QUEUE_ATTRIBUTES = [
  'ContentBasedDeduplication',
  'DeduplicationScope',
  'FifoQueue',
  'FifoThroughputLimit',
  'MessageRetentionPeriod',
  'VisibilityTimeout',
];

/** Throws a sentence that names whatever in the templates the runner does not understand. */
export function planInstance(stacks: readonly StackTemplate[], place: Place): InstancePlan {
  const reader = new TemplateReader(stacks, place, (resource) => attributesOf(resource, place));
  const attributes = (resource: Resource, name: string) => {
    const value = attributesOf(resource, place)?.[name];
    if (value === undefined) throw new Error(`${resource.logicalId} has no ${name}`);
    return value;
  };
  const all = <Plan>(
    type: string,
    plan: (properties: ResourceProperties, resource: Resource) => Plan,
  ): Plan[] => readAll(reader, type, [...(IGNORED_PROPERTIES[type] ?? []), TAGS], plan);
  checkTypes(reader.resources);
  const mappings = all('AWS::Lambda::EventSourceMapping', planMapping);
  const integrations = all('AWS::ApiGatewayV2::Integration', planIntegration);
  all('AWS::ApiGatewayV2::Api', checkApi);
  return {
    tables: all('AWS::DynamoDB::Table', (properties, resource) => ({
      name: attributes(resource, 'Ref'),
      streamArn: attributes(resource, 'StreamArn'),
      keySchema: properties.objects('KeySchema'),
      attributeDefinitions: properties.objects('AttributeDefinitions'),
      globalSecondaryIndexes: properties.objects('GlobalSecondaryIndexes'),
      streamViewType: optionalText(properties.object('StreamSpecification')['StreamViewType']),
    })),
    queues: all('AWS::SQS::Queue', (properties, resource) => ({
      name: attributes(resource, 'QueueName'),
      arn: attributes(resource, 'Arn'),
      url: attributes(resource, 'Ref'),
      attributes: queueAttributes(properties),
    })),
    buckets: all('AWS::S3::Bucket', (_, resource) => attributes(resource, 'Ref')),
    secretArns: all('AWS::SecretsManager::Secret', (_, resource) => attributes(resource, 'Ref')),
    buses: all('AWS::Events::EventBus', (properties, resource) => ({
      name: properties.text('Name'),
      arn: attributes(resource, 'Arn'),
    })),
    functions: all('AWS::Lambda::Function', (properties, resource) => ({
      name: attributes(resource, 'Ref'),
      arn: attributes(resource, 'Arn'),
      roleArn: properties.text('Role'),
      entry: entryOf(resource),
      timeoutMs: properties.number('Timeout') * 1000,
      environment: variablesOf(properties),
    })),
    streams: mappings.flatMap((mapping) => ('streamArn' in mapping ? [mapping] : [])),
    pokes: mappings.flatMap((mapping) => ('queueArn' in mapping ? [mapping] : [])),
    schedules: all('AWS::Events::Rule', planSchedule).flat(),
    routes: all('AWS::ApiGatewayV2::Route', (properties, { stack }) => {
      const target = properties.text('Target').replace('integrations/', '');
      const integration = integrations.find(
        (each) => each.stack === stack && each.logicalId === target,
      );
      if (integration === undefined) throw properties.wrong('Target', 'an integration');
      return { key: properties.text('RouteKey'), functionName: integration.functionName };
    }),
    rights: planRights(reader, place),
  };
}

function checkTypes(resources: readonly Resource[]): void {
  const known = new Set([
    ...Object.keys(IGNORED_PROPERTIES),
    ...IGNORED_TYPES,
    'AWS::Events::EventBus',
    'AWS::Events::Rule',
    'AWS::IAM::Policy',
    'AWS::IAM::Role',
    'AWS::KMS::Key',
    'AWS::S3::BucketPolicy',
    'AWS::SQS::QueuePolicy',
  ]);
  const unknown = resources.find(({ type }) => !known.has(type));
  if (unknown !== undefined)
    throw new Error(
      `${unknown.logicalId} of stack ${unknown.stack.name} is a ${unknown.type}, ` +
        'which the local runner does not know',
    );
}

function entryOf({ metadata, logicalId, stack }: Resource): string {
  const entry = metadata['registry:entry'];
  if (typeof entry !== 'string')
    throw new Error(`${logicalId} of stack ${stack.name} does not say its source: registry:entry`);
  return entry;
}

function variablesOf(properties: ResourceProperties): Record<string, string> {
  const variables = Object.entries({ ...Object(properties.object('Environment')['Variables']) });
  return Object.fromEntries(variables.map(([name, value]) => [name, String(value)]));
}

function queueAttributes(properties: ResourceProperties): Record<string, string> {
  const given = QUEUE_ATTRIBUTES.flatMap((name) => {
    const value = properties.optionalText(name);
    return value === undefined ? [] : [[name, value]];
  });
  const redrive = properties.object('RedrivePolicy');
  return {
    ...Object.fromEntries(given),
    ...(Object.keys(redrive).length === 0 ? {} : { RedrivePolicy: JSON.stringify(redrive) }),
  };
}

function planMapping(properties: ResourceProperties): StreamMapping | QueueMapping {
  const source = properties.text('EventSourceArn');
  const common = {
    functionName: properties.text('FunctionName'),
    batchSize: properties.number('BatchSize'),
    partialFailures: properties.texts('FunctionResponseTypes').includes('ReportBatchItemFailures'),
  };
  if (source.startsWith('arn:aws:sqs:')) {
    const concurrency = Number(properties.object('ScalingConfig')['MaximumConcurrency']);
    return { ...common, queueArn: source, concurrencyMax: concurrency || CONCURRENCY_MAX };
  }
  if (!source.startsWith('arn:aws:dynamodb:'))
    throw properties.wrong('EventSourceArn', 'a queue or the stream of a table');
  const onFailure: unknown = properties.object('DestinationConfig')['OnFailure'];
  const failureQueueArn = optionalText(Object(onFailure)['Destination']);
  const filters: unknown = properties.object('FilterCriteria')['Filters'] ?? [];
  return {
    ...common,
    streamArn: source,
    bisect: properties.flag('BisectBatchOnFunctionError'),
    retriesMax: properties.number('MaximumRetryAttempts'),
    recordAgeSecondsMax: properties.number('MaximumRecordAgeInSeconds'),
    ...(failureQueueArn === undefined ? {} : { failureQueueArn }),
    patterns: Array.isArray(filters)
      ? filters.map((filter: unknown): unknown => JSON.parse(String(Object(filter)['Pattern'])))
      : [],
  };
}

function planSchedule(properties: ResourceProperties, { logicalId }: Resource): Schedule[] {
  const rate = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(properties.text('ScheduleExpression'));
  if (rate === null) throw properties.wrong('ScheduleExpression', 'a rate, such as rate(1 minute)');
  const seconds = Number(rate[1]) * (SECONDS[rate[2] ?? ''] ?? 0);
  const enabled = properties.text('State') === 'ENABLED';
  const targets = properties.objects('Targets');
  if (!enabled) return [];
  return targets.map((target) => ({
    name: logicalId,
    seconds,
    functionName: functionNameOf(String(target['Arn'])),
  }));
}

function planIntegration(properties: ResourceProperties, { stack, logicalId }: Resource) {
  if (properties.text('IntegrationType') !== 'AWS_PROXY')
    throw properties.wrong('IntegrationType', 'AWS_PROXY');
  if (properties.text('PayloadFormatVersion') !== '2.0')
    throw properties.wrong('PayloadFormatVersion', '2.0');
  return { stack, logicalId, functionName: functionNameOf(properties.text('IntegrationUri')) };
}

function checkApi(properties: ResourceProperties): void {
  if (properties.text('ProtocolType') !== 'HTTP') throw properties.wrong('ProtocolType', 'HTTP');
}

function functionNameOf(arn: string): string {
  return arn.slice(arn.lastIndexOf(':') + 1);
}

function optionalText(value: unknown): string | undefined {
  return value === undefined ? undefined : String(value);
}
