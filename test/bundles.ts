import { execFile } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Key } from 'aws-cdk-lib/aws-kms';
import { registryFunction } from '../infra/constructs/registry-function.ts';
import { type Environment, environmentNames } from '../shared/config.ts';
import type { Imported } from './import-process.ts';

/** Of each function: 1 MB. A cold start reads and compiles all of it. */
export const bundleBytesMax = 1_000_000;

const PROGRAM = join(import.meta.dirname, 'import-process.ts');
const SUFFIX = '.lambda.ts';

export interface Bundle {
  /** `api`, of `functions/api.lambda.ts`. */
  readonly name: string;
  /** Its source from the root of the repository. */
  readonly entry: string;
  /** The one file that Lambda runs. */
  readonly file: string;
  /** Of all that is uploaded with it. */
  readonly bytes: number;
}

/** Variables that every function can be loaded with; what they name does not exist. */
export const someEnvironment: Environment = {
  ...(Object.fromEntries(environmentNames.map((name) => [name, ''])) as Environment),
  ...{ INSTANCE_NAME: 'client', TABLE_NAME: 'table', BUCKET_NAME: 'bucket' },
  ...{
    DELIVERY_QUEUE_URL: 'https://localhost/delivery',
    FETCH_QUEUE_URL: 'https://localhost/fetch',
  },
  ...{ EVENT_BUS_NAME: 'bus', KEY_SECRET_ARN: 'secret', CLUSTER_CA: 'authority' },
  ...{ ADMITTED_LEADS: 'any', AUDIT_PERIOD_DAYS: '30' },
};

/** `api`, `audit` … */
export function functionNames(): string[] {
  return readdirSync(join(import.meta.dirname, '..', 'functions'))
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => name.slice(0, -SUFFIX.length));
}

/** The bundles of functions, made as a deployment makes them, in a folder of their own. */
export function bundleFunctions(outdir: string, names = functionNames()): Bundle[] {
  const app = new App({ outdir, context: { 'aws:cdk:enable-asset-metadata': true } });
  const stack = new Stack(app, 'Bundles');
  const logs = { retentionDays: 1, key: new Key(stack, 'Key') };
  for (const name of names)
    registryFunction(stack, name, {
      name,
      logs,
      environment: someEnvironment,
      timeout: Duration.seconds(30),
      bundle: true,
    });
  const functions = Template.fromStack(stack).findResources('AWS::Lambda::Function');
  return Object.values(functions).map(({ Metadata }) => {
    const entry: string = Metadata['registry:entry'];
    const folder = join(outdir, Metadata['aws:asset:path']);
    const files = readdirSync(folder).map((file) => join(folder, file));
    const name = entry.slice('functions/'.length, -SUFFIX.length);
    const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
    return { name, entry, file: join(folder, 'index.mjs'), bytes };
  });
}

/** Imports a file in a fresh process that has nothing but the functions' variables. */
export async function importInProcess(file: string): Promise<Imported> {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, file], {
    env: { ...someEnvironment, AWS_REGION: 'eu-central-1' },
  });
  return JSON.parse(stdout);
}
