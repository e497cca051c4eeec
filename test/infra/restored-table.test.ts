import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readInstance } from '../../infra/instance-config.ts';
import { exampleAuthorityPem } from './example-authority.ts';
import { allowed, synthesise, type Templates } from './synthesis.ts';

const ARN = 'arn:aws:dynamodb:eu-central-1:111122223333:table/client-restored';
const STREAM = `${ARN}/stream/2026-11-29T10:00:00.000`;

let directory: string;
let before: Templates;
let after: Templates;

function file(name: string, changes: object): string {
  const path = join(directory, `${name}.json`);
  const instance = {
    name,
    clusterCa: exampleAuthorityPem,
    applications: [],
    operators: [],
    auditors: [],
    denied: [],
    admittedLeads: 'any',
    alarmEmails: ['operations@client.example'],
    ...changes,
  };
  writeFileSync(path, JSON.stringify(instance));
  return path;
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'restored-'));
  file('before', {});
  file('after', { restoredTableArn: ARN, restoredTableStreamArn: STREAM });
  const context = { instances: directory, emulator: true };
  const templatesOf = synthesise(join(directory, 'out'), context);
  before = templatesOf('before');
  after = templatesOf('after');
});
afterAll(() => rmSync(directory, { recursive: true }));

const textOf = (template: Template) => JSON.stringify(template.toJSON());
const exportsOf = (template: Template) =>
  Object.keys(template.findOutputs('*')).filter((name) => name.startsWith('ExportsOutput'));

describe('an instance that is pointed at a restored table', () => {
  test('lets every function work on that table, its index and its stream, and on no other', () => {
    for (const stack of [after.api, after.replication, after.events]) {
      const onTables = allowed(stack).filter(({ Action }) => String(Action).includes('dynamodb:'));

      expect(onTables.length).toBeGreaterThan(0);
      for (const { Resource } of onTables)
        expect([ARN, STREAM, `${ARN}/index/lists`]).toContain(Resource);
      expect(textOf(stack)).toContain('"TABLE_NAME":"client-restored"');
    }
    for (const stack of [after.replication, after.events])
      expect(textOf(stack)).toContain(`"EventSourceArn":"${STREAM}"`);
  });

  test('keeps its own table, and all that it exports, so that it can be deployed first', () => {
    after.storage.resourceCountIs('AWS::DynamoDB::Table', 1);
    expect(exportsOf(after.storage).sort()).toEqual(exportsOf(before.storage).sort());
  });

  test.each([
    ['one of the two alone', { restoredTableArn: ARN }, /restoredTableStreamArn is missing/],
    [
      'a name in place of an ARN',
      { restoredTableArn: 'client-restored', restoredTableStreamArn: STREAM },
      /restoredTableArn is "client-restored": give the ARN/,
    ],
    [
      'the stream of another table',
      { restoredTableArn: ARN, restoredTableStreamArn: STREAM.replace('client', 'other') },
      /restoredTableStreamArn is that of another table/,
    ],
  ] as const)('is told of %s', (_, changes, sentence) => {
    const path = file('wrong', changes);

    expect(() => readInstance(path)).toThrow(sentence);
    rmSync(path);
  });
});
