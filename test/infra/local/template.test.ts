// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how Fn::Sub marks places.
import { describe, expect, test } from 'vitest';
import { planInstance } from '../../../infra/local/plan.ts';
import { type StackTemplate, TemplateReader } from '../../../infra/local/template.ts';

const place = {
  instance: 'client',
  region: 'eu-central-1',
  account: '000000000000',
  queueUrlOf: (name: string) => `http://127.0.0.1:1/000000000000/${name}`,
};

function stack(name: string, parts: Partial<StackTemplate> = {}): StackTemplate {
  return { name, resources: {}, outputs: {}, ...parts };
}

function resolve(value: unknown, ...others: StackTemplate[]): unknown {
  const own = stack('own', {
    resources: { Thing: { Type: 'A::Thing' }, Odd: { Type: 'An::Odd' } },
  });
  const reader = new TemplateReader([own, ...others], place, ({ type, logicalId }) =>
    type === 'A::Thing' ? { Ref: logicalId.toLowerCase(), 'Parent.Name': 'p' } : undefined,
  );
  return reader.resolve(own, value);
}

const exporting = stack('other', {
  resources: { Theirs: { Type: 'A::Thing' } },
  outputs: {
    Out: { Value: { Ref: 'Theirs' }, Export: { Name: { 'Fn::Sub': '${AWS::StackName}:out' } } },
    Silent: { Value: 'not exported' },
  },
});

describe('values are resolved', () => {
  test.each([
    ['plain values', { a: ['text', 1, true, null] }, { a: ['text', 1, true, null] }],
    ['Ref', { Ref: 'Thing' }, 'thing'],
    ['the region', { Ref: 'AWS::Region' }, 'eu-central-1'],
    ['the account', { Ref: 'AWS::AccountId' }, '000000000000'],
    ['the partition', { Ref: 'AWS::Partition' }, 'aws'],
    ['the suffix', { Ref: 'AWS::URLSuffix' }, 'amazonaws.com'],
    ['the stack', { Ref: 'AWS::StackName' }, 'own'],
    ['Fn::GetAtt as a list', { 'Fn::GetAtt': ['Thing', 'Parent.Name'] }, 'p'],
    ['Fn::GetAtt as text', { 'Fn::GetAtt': 'Thing.Parent.Name' }, 'p'],
    ['Fn::Join', { 'Fn::Join': ['-', ['a', { Ref: 'Thing' }, 1]] }, 'a-thing-1'],
    ['Fn::Split', { 'Fn::Split': [':', 'a:b'] }, ['a', 'b']],
    ['Fn::Select', { 'Fn::Select': [1, { 'Fn::Split': [':', 'a:b'] }] }, 'b'],
    ['Fn::Sub', { 'Fn::Sub': '${Thing}/${Thing.Parent.Name}/${!Thing}' }, 'thing/p/${Thing}'],
    [
      'Fn::Sub with values',
      { 'Fn::Sub': ['${v}-${Thing}', { v: { Ref: 'Thing' } }] },
      'thing-thing',
    ],
    ['Fn::ImportValue', { 'Fn::ImportValue': 'other:out' }, 'theirs'],
    ['what is nested', { deep: [{ 'Fn::Join': ['', [{ Ref: 'Thing' }]] }] }, { deep: ['thing'] }],
  ])('%s', (_, value, expected) => {
    expect(resolve(value, exporting)).toEqual(expected);
  });
});

describe('what is not known is named', () => {
  test.each([
    ['a function', { 'Fn::If': ['C', 1, 2] }, 'stack own uses Fn::If, which the local runner'],
    ['a condition', { Condition: 'C' }, 'stack own uses Condition, which'],
    ['a resource', { Ref: 'Nobody' }, 'stack own refers to "Nobody", which it does not hold'],
    ['a type', { Ref: 'Odd' }, 'stack own asks for Ref of Odd (An::Odd), which the local runner'],
    ['an attribute', { 'Fn::GetAtt': ['Thing', 'Arn'] }, 'asks for Arn of Thing (A::Thing)'],
    [
      'an export',
      { 'Fn::ImportValue': 'other:no' },
      'stack own imports "other:no", which no stack',
    ],
    ['an index', { 'Fn::Select': [2, ['a', 'b']] }, 'selects beyond the end of a list'],
    ['a join of one', { 'Fn::Join': ['x'] }, 'gives Fn::Join something other than two values'],
    ['a join of text', { 'Fn::Join': ['', 'x'] }, 'gives Fn::Join something other than a list'],
    [
      'a split of a list',
      { 'Fn::Split': [':', ['a']] },
      'gives Fn::Split something other than text',
    ],
  ])('%s', (_, value, message) => {
    expect(() => resolve(value, exporting)).toThrow(message);
  });
});

function plan(resources: StackTemplate['resources']) {
  return planInstance([stack('own', { resources })], place);
}

describe('a plan', () => {
  test('names resources after the instance and their logical id', () => {
    const { queues, buckets } = plan({
      Objects: { Type: 'AWS::S3::Bucket' },
      Fetch: {
        Type: 'AWS::SQS::Queue',
        Properties: { FifoQueue: true, VisibilityTimeout: 960 },
      },
    });

    expect(buckets).toEqual(['client-objects']);
    expect(queues).toEqual([
      {
        name: 'client-Fetch.fifo',
        arn: 'arn:aws:sqs:eu-central-1:000000000000:client-Fetch.fifo',
        url: 'http://127.0.0.1:1/000000000000/client-Fetch.fifo',
        attributes: { FifoQueue: 'true', VisibilityTimeout: '960' },
      },
    ]);
  });

  test('refuses a type that it does not know', () => {
    expect(() => plan({ Cache: { Type: 'AWS::ElastiCache::CacheCluster' } })).toThrow(
      'Cache of stack own is a AWS::ElastiCache::CacheCluster, which the local runner does not know',
    );
  });

  test('refuses a property that it does not know', () => {
    expect(() =>
      plan({ Fetch: { Type: 'AWS::SQS::Queue', Properties: { DelaySeconds: 5 } } }),
    ).toThrow(
      'Fetch (AWS::SQS::Queue) of stack own has the property DelaySeconds, ' +
        'which the local runner does not know',
    );
  });

  test.each([
    ['cron(0 * * * ? *)', /ScheduleExpression that is a rate, such as rate\(1 minute\)/],
    ['rate(1 fortnight)', /ScheduleExpression that is a rate/],
  ])('refuses the schedule %s', (ScheduleExpression, message) => {
    const rule = {
      Type: 'AWS::Events::Rule',
      Properties: { ScheduleExpression, State: 'ENABLED' },
    };

    expect(() => plan({ Rule: rule })).toThrow(message);
  });

  test('refuses a function that does not say its source', () => {
    const lambda = { Type: 'AWS::Lambda::Function', Properties: { Role: 'r', Timeout: 1 } };

    expect(() => plan({ Api: lambda })).toThrow('Api of stack own does not say its source');
  });
});
