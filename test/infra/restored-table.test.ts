import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addChecks, refuseFailures } from '../../infra/checks.ts';
import { readInstance } from '../../infra/instance-config.ts';
import { addInstances } from '../../infra/stacks/instance-stage.ts';
import { exampleAuthorityPem } from './example-authority.ts';
import { actionsOf, allowed, appIn, synthesise, type Templates, templatesOf } from './synthesis.ts';

const ARN = 'arn:aws:dynamodb:eu-central-1:111122223333:table/client-restored';
const CERTIFICATE = 'arn:aws:acm:eu-central-1:111122223333:certificate';
const STREAM = `${ARN}/stream/2026-11-29T10:00:00.000`;

let directory: string;
let out: string;
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
    account: '111122223333',
    region: 'eu-central-1',
    domainName: 'registry.client.example',
    serverCertificateArn: `${CERTIFICATE}/1`,
    ownershipCertificateArn: `${CERTIFICATE}/2`,
    ...changes,
  };
  writeFileSync(path, JSON.stringify(instance));
  return path;
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'restored-'));
  out = join(directory, 'out');
  const path = file('before', {});
  before = synthesise(join(directory, 'out-before'), { instances: directory })('before');
  rmSync(path);
  file('after', { restoredTableArn: ARN, restoredTableStreamArn: STREAM });
  const app = appIn(out, { instances: directory });
  addChecks(app);
  addInstances(app);
  after = templatesOf(app.synth())('after');
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

  test('is refused by none of the checks', () => {
    expect(() => refuseFailures(out)).not.toThrow();
  });

  test('has backups of that table, and lets those of its own go in their time', () => {
    const [own] = Object.keys(after.storage.findResources('AWS::DynamoDB::Table'));
    const arnOfOwn = { 'Fn::GetAtt': [own, 'Arn'] };
    const selectionOf = ({ storage }: Templates) =>
      Object.values(storage.findResources('AWS::Backup::BackupSelection')).map(
        ({ Properties }) => Properties.BackupSelection,
      );

    expect(selectionOf(after)).toMatchObject([{ Resources: [ARN] }]);
    // CloudFormation makes the new one before it deletes the old one.
    expect(selectionOf(after)[0].SelectionName).not.toBe(selectionOf(before)[0].SelectionName);
    for (const action of ['dynamodb:CreateBackup', 'dynamodb:DeleteBackup']) {
      const granted = allowed(after.storage).filter((each) => actionsOf([each]).includes(action));
      const backups = action === 'dynamodb:DeleteBackup' ? '/backup/*' : '';
      expect(granted.map(({ Resource }) => Resource)).toEqual([
        [`${ARN}${backups}`, backups === '' ? arnOfOwn : { 'Fn::Join': ['', [arnOfOwn, backups]] }],
      ]);
    }
  });

  test.each([
    ['one of the two alone', { restoredTableArn: ARN }, /restoredTableStreamArn is missing/],
    [
      'a name in place of an ARN',
      { restoredTableArn: 'client-restored', restoredTableStreamArn: STREAM },
      /restoredTableArn is "client-restored": give the ARN/,
    ],
    [
      'a table in another region',
      {
        restoredTableArn: ARN.replace('eu-central-1', 'eu-west-1'),
        restoredTableStreamArn: STREAM.replace('eu-central-1', 'eu-west-1'),
      },
      /restoredTableArn is of the region eu-west-1, but the file's is eu-central-1/,
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
