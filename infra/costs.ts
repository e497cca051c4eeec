/** The program behind `npm run costs`: what an instance costs, from its synthesized templates. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { ENTRY_METADATA } from './constructs/registry-function.ts';
import {
  ASSUMED,
  type Bill,
  type CostLine,
  type FunctionName,
  gigabytes,
  idle,
  leading,
  mirroring,
  PRICES,
  total,
} from './cost-model.ts';
import { addInstances } from './stacks/instance-stage.ts';

/** A template of CloudFormation, as far as it is read here. */
export interface CostedTemplate {
  readonly Resources?: Readonly<Record<string, Resource>>;
}

interface Resource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly Metadata?: Readonly<Record<string, unknown>>;
}

const MINUTES_A_MONTH = 60 * 24 * 30;

/** What the templates of one instance say. Throws where they have what the prices do not know. */
export function billOf(templates: readonly CostedTemplate[]): Bill {
  const all = templates.flatMap(({ Resources = {} }) => Object.entries(Resources));
  const of = (type: string) => all.filter(([, { Type }]) => Type === type);
  const functions = new Map<string, FunctionName>();
  const memoryMegabytes: Partial<Record<FunctionName, number>> = {};
  for (const [id, { Properties, Metadata }] of of('AWS::Lambda::Function')) {
    const name = nameOf(Metadata?.[ENTRY_METADATA]);
    if (name === undefined) continue;
    functions.set(id, name);
    memoryMegabytes[name] = Number(Properties?.['MemorySize'] ?? 128);
  }
  const missing = Object.keys(ASSUMED.milliseconds).filter((name) => !(name in memoryMegabytes));
  if (missing.length > 0) throw new Error(`no function ${missing.join(', ')} in the templates`);
  const [[, table] = []] = of('AWS::DynamoDB::Table');
  if (table?.Properties?.['BillingMode'] !== 'PAY_PER_REQUEST')
    throw new Error(
      'the table is not billed by request: put other prices into infra/cost-model.ts',
    );
  const mapped = of('AWS::Lambda::EventSourceMapping').filter(
    ([, { Properties }]) => Properties?.['StartingPosition'] === undefined,
  );
  return {
    memoryMegabytes: memoryMegabytes as Bill['memoryMegabytes'],
    runs: runsOf(of('AWS::Events::Rule'), functions),
    queue: of('AWS::SQS::Queue').some(([, each]) => each.Properties?.['FifoQueue'] === true)
      ? 'fifo'
      : 'standard',
    polledQueues: mapped.length,
    recovery: JSON.stringify(table).includes('"PointInTimeRecoveryEnabled":true'),
    backups: of('AWS::Backup::BackupPlan').length > 0,
    trail: of('AWS::CloudTrail::Trail').length > 0,
    alarms: of('AWS::CloudWatch::Alarm').length,
    dashboards: of('AWS::CloudWatch::Dashboard').length,
    secrets: of('AWS::SecretsManager::Secret').length,
    keys: of('AWS::KMS::Key').length,
  };
}

function nameOf(entry: unknown): FunctionName | undefined {
  const name = /^functions\/(.+)\.lambda\.ts$/.exec(String(entry))?.[1];
  return name !== undefined && name in ASSUMED.milliseconds ? (name as FunctionName) : undefined;
}

function runsOf(
  rules: readonly (readonly [string, Resource])[],
  functions: ReadonlyMap<string, FunctionName>,
): Bill['runs'] {
  const runs: Partial<Record<FunctionName, number>> = {};
  for (const [, { Properties }] of rules) {
    const minutes = /^rate\((\d+) minutes?\)$/.exec(
      String(Properties?.['ScheduleExpression']),
    )?.[1];
    const [name] = [...functions]
      .filter(([id]) => JSON.stringify(Properties?.['Targets'] ?? '').includes(`"${id}"`))
      .map(([, each]) => each);
    if (minutes !== undefined && name !== undefined) runs[name] = MINUTES_A_MONTH / Number(minutes);
  }
  return runs;
}

/** The whole report, as text. */
export function costReport(bill: Bill): string {
  const { asOf, region } = PRICES;
  const { mirrors, entriesPerDelivery } = ASSUMED;
  return [
    `US dollars, list prices of ${region} as of ${asOf}, without tax and free tiers`,
    `assumed: ${mirrors} mirrors, a document version a transaction, ${entriesPerDelivery} entries a delivery`,
    ...section('a million transactions, leading', leading(bill)),
    ...section('a million transactions, mirroring', mirroring(bill)),
    ...section('a month, idle', idle(bill)),
    ...section('a gigabyte, stored for a month or sent', gigabytes(bill), false),
  ].join('\n');
}

function section(title: string, lines: readonly CostLine[], added = true): string[] {
  const sum = added ? [{ what: 'together', cost: total(lines) }] : [];
  const rows = [...lines, ...sum].map(
    ({ what, cost }) => `  ${what.padEnd(36)} ${cost.toFixed(2).padStart(9)}`,
  );
  return ['', title, ...rows];
}

function synthesised(instance: string): CostedTemplate[] {
  const outdir = mkdtempSync(join(tmpdir(), 'costs-'));
  try {
    const file = join(import.meta.dirname, '..', 'cdk.json');
    const { context } = JSON.parse(readFileSync(file, 'utf8'));
    const app = new App({ outdir, context: { ...context, bundle: false } });
    addInstances(app);
    const stage = app.synth().getNestedAssembly(`assembly-${instance}`);
    return stage.stacks.map(({ template }) => template);
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

if (import.meta.main)
  process.stdout.write(`${costReport(billOf(synthesised(process.argv[2] ?? 'client')))}\n`);
