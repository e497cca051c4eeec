import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CfnResource, Stack, Stage } from 'aws-cdk-lib';
import { CfnBucket } from 'aws-cdk-lib/aws-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addChecks, refuseFailures } from '../../infra/checks.ts';
import { addInstances } from '../../infra/stacks/instance-stage.ts';
import { instanceFields } from './instance-file.ts';
import { appIn, stackNames, synthesise, type Templates, templatesOf } from './synthesis.ts';

let directory: string;
let client: Templates;
let architect: Templates;
let report: Report;

/** As far as these tests read what the checks found. */
interface Report {
  readonly pluginReports: readonly {
    readonly pluginName: string;
    readonly conclusion: string;
    readonly violations: readonly Violation[];
    readonly suppressedViolations?: readonly (Violation & { readonly reason?: string })[];
  }[];
}

interface Violation {
  readonly ruleName: string;
  readonly violatingConstructs: readonly { readonly constructPath: string }[];
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'templates-'));
  const app = appIn(join(directory, 'out'));
  addChecks(app);
  addInstances(app);
  const of = templatesOf(app.synth());
  client = of('client');
  architect = of('architect');
  report = JSON.parse(readFileSync(join(directory, 'out', 'validation-report.json'), 'utf8'));
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** As the command `cdk` tells its programs: it judges by itself, the stacks that it was asked for. */
const BY_CDK = { '@aws-cdk/core:failSynthOnValidationErrors': false };

/** What a stack inside of a stage is refused for, where nobody else judges. */
function refusalOf(folder: string, build: (stack: Stack) => void): string {
  const app = appIn(join(directory, folder), BY_CDK);
  addChecks(app);
  build(new Stack(new Stage(app, 'bad'), 'stack'));
  const assembly = app.synth();
  try {
    refuseFailures(assembly.directory);
  } catch (error) {
    return String(error);
  }
  return 'nothing was refused';
}

describe('the checks', () => {
  test('nothing that they find is left open', () => {
    expect(() => refuseFailures(join(directory, 'out'))).not.toThrow();
    for (const { conclusion, violations } of report.pluginReports)
      expect({ conclusion, violations }).toEqual({ conclusion: 'success', violations: [] });
    expect(report.pluginReports.map(({ pluginName }) => pluginName)).toContain('AwsSolutions');
  });

  test('what is meant to be so is argued, and is all of this', () => {
    const argued = report.pluginReports.flatMap((each) => each.suppressedViolations ?? []);

    const rules = argued.map(({ ruleName }) => ruleName.replace(/\[.*\]$/, ''));
    expect([...new Set(rules)].sort()).toEqual([
      'AwsSolutions-APIG4',
      'AwsSolutions-IAM5',
      'AwsSolutions-S1',
      'AwsSolutions-SMG4',
      'AwsSolutions-SQS3',
    ]);
    for (const { reason } of argued) expect(reason?.length).toBeGreaterThan(40);
  });

  test('a wildcard is allowed of the names of objects, backups and recovery points, and of nothing else', () => {
    const argued = report.pluginReports.flatMap((each) => each.suppressedViolations ?? []);

    const wildcards = argued
      .map(({ ruleName }) => /IAM5\[(.*)\]$/.exec(ruleName)?.[1])
      .filter((finding) => finding !== undefined);
    expect(wildcards.length).toBeGreaterThan(0);
    for (const finding of wildcards)
      expect(finding).toMatch(
        /^Resource::.*(Objects.*\/(documents|evidence)\/|Ledger.*\/backup\/|:recovery-point:)\*$/,
      );
  });

  test('they find a bucket without protection in a stack of a stage', () => {
    const refusal = refusalOf('bucket', (stack) => {
      new CfnBucket(stack, 'Bucket');
    });

    expect(refusal).toMatch(/bad\/stack\/Bucket: AwsSolutions-S1: /);
    expect(refusal).toMatch(/bad\/stack\/Bucket: AwsSolutions-S10: /);
  });

  test('they find what CloudFormation does not know, or does not take', () => {
    const refusal = refusalOf('property', (stack) => {
      new CfnResource(stack, 'Queue', {
        type: 'AWS::SQS::Queue',
        properties: { DelaySeconds: 99_999, VisibilityTimeOut: 3 },
      });
      new CfnResource(stack, 'Nothing', { type: 'AWS::Nothing::Known' });
    });

    expect(refusal).toMatch(/bad\/stack\/Queue: F3002: .*VisibilityTimeOut/);
    expect(refusal).toMatch(/bad\/stack\/Queue: F3034: .*greater than the maximum of 900/);
    expect(refusal).toMatch(/bad\/stack\/Nothing: F3006: .*AWS::Nothing::Known/);
  });
});

describe('two instances', () => {
  /** Every text in the templates, property names too. */
  function textsOf(templates: Templates): string[] {
    const texts: string[] = [];
    const walk = (value: unknown): void => {
      if (typeof value === 'string') texts.push(value);
      else if (typeof value === 'object' && value !== null)
        for (const [name, each] of Object.entries(value)) {
          texts.push(name);
          walk(each);
        }
    };
    for (const template of Object.values(templates)) walk(template.toJSON());
    return texts;
  }

  function exportsOf(templates: Templates): string[] {
    return Object.values(templates).flatMap((template) =>
      Object.values(template.toJSON()['Outputs'] ?? {}).flatMap(
        (output) => Object(output).Export?.Name ?? [],
      ),
    );
  }

  function importsOf(templates: Templates): string[] {
    const found = JSON.stringify(Object.values(templates).map((template) => template.toJSON()));
    return [...found.matchAll(/"Fn::ImportValue":"([^"]+)"/g)].map(([, name]) => name ?? '');
  }

  /** Of these a name is one within a resource of the instance's own, or of its metrics. */
  const WITHIN =
    /\.((Attribute|Index|Metric|Stage|Rule|BackupPlan|Selection|Policy)Name|(Dimensions|AdvancedEventSelectors)\.\d+\.Name)$/;

  /** All texts in a value, with where they are. */
  function placedTexts(value: unknown, path: string): [path: string, text: string][] {
    if (typeof value === 'string') return [[path, value]];
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).flatMap(([key, each]) => placedTexts(each, `${path}.${key}`));
  }

  /** What names a resource of AWS outside of its own template: literal names, ARNs and addresses. */
  function namesOf(templates: Templates): string[] {
    return Object.values(templates)
      .flatMap((template) => placedTexts(template.toJSON()['Resources'], ''))
      .filter(
        ([path, text]) => /^(arn:|https:)/.test(text) || (/Name$/.test(path) && !WITHIN.test(path)),
      )
      .map(([, text]) => text);
  }

  /** In one account and region, so that nothing else keeps their names apart. */
  function neighbours(): readonly [Templates, Templates] {
    const instances = join(directory, 'neighbours');
    mkdirSync(instances);
    for (const name of ['north', 'south']) {
      const certificate = 'arn:aws:acm:eu-central-1:111122223333:certificate';
      const fields = instanceFields({
        name,
        account: '111122223333',
        region: 'eu-central-1',
        domainName: `registry.${name}.example`,
        serverCertificateArn: `${certificate}/${name}-1`,
        ownershipCertificateArn: `${certificate}/${name}-2`,
      });
      writeFileSync(join(instances, `${name}.json`), JSON.stringify(fields));
    }
    const of = synthesise(join(instances, 'out'), { instances });
    return [of('north'), of('south')];
  }

  test('nothing of one names the other', () => {
    // The gateway calls a caller's certificate clientCert.
    for (const [own, other] of [
      [client, 'architect'],
      [architect, 'client'],
    ] as const)
      expect(textsOf(own).filter((text) => new RegExp(`${other}(?!Cert)`).test(text))).toEqual([]);
  });

  test('each takes only what its own stacks give, and gives nothing that the other gives', () => {
    for (const own of [client, architect]) {
      expect(importsOf(own).length).toBeGreaterThan(20);
      expect(importsOf(own).filter((name) => !exportsOf(own).includes(name))).toEqual([]);
    }
    expect(exportsOf(client).filter((name) => exportsOf(architect).includes(name))).toEqual([]);
  });

  test('they have no name in common: no resource, role, key, secret or address', () => {
    const [north, south] = neighbours();
    const common = namesOf(north).filter((name) => namesOf(south).includes(name));

    expect(namesOf(north)).toEqual(
      expect.arrayContaining([
        'registry-north',
        'registry.north.example',
        expect.stringMatching('^northstorageBackupVault'),
      ]),
    );
    // What is left belongs to the account: itself, its gateways, and recovery points to put tags on.
    expect([...new Set(common)].sort()).toEqual([
      'arn:aws:backup:eu-central-1:111122223333:recovery-point:*',
      'arn:aws:execute-api:eu-central-1:111122223333:',
      'arn:aws:iam::111122223333:root',
    ]);
  });

  test('each has keys, a secret, a table, a bucket and roles of its own', () => {
    for (const own of [client, architect]) {
      own.keys.resourceCountIs('AWS::KMS::Key', 2);
      own.keys.resourceCountIs('AWS::SecretsManager::Secret', 1);
      own.storage.resourceCountIs('AWS::DynamoDB::Table', 1);
      // One for the objects, and one for the trail of who put them there.
      own.storage.resourceCountIs('AWS::S3::Bucket', 2);
    }
    const roles = Object.values(client).flatMap((template) =>
      Object.values(template.findResources('AWS::IAM::Role')),
    );
    expect(roles).toHaveLength(9);
    for (const { Properties } of roles) {
      expect(Properties.RoleName).toBeUndefined();
      const [{ Principal }, ...others] = Properties.AssumeRolePolicyDocument.Statement;
      expect(others).toEqual([]);
      expect(Principal.Service).toMatch(/^(lambda|backup)\.amazonaws\.com$/);
    }
  });
});

/** Assets are named by what they hold, and the metadata by the library's version. */
function masked(template: unknown): string {
  return JSON.stringify(template, null, 1)
    .replaceAll(/\b[0-9a-f]{64}(?=\.(zip|pem))/g, '<asset>')
    .replaceAll(/"v2:deflate64:[^"]+"/g, '"<analytics>"')
    .concat('\n');
}

/** A change of what is deployed is seen in a review; `vitest -u` takes it over. */
test.each(stackNames)('the template of the stack %s is as it was reviewed', async (name) => {
  await expect(masked(client[name].toJSON())).toMatchFileSnapshot(`snapshot/client-${name}.snap`);
});
