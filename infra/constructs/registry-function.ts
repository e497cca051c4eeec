import { join } from 'node:path';
import { Duration } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Architecture,
  type CfnFunction,
  Code,
  Function as LambdaFunction,
  Runtime,
} from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';
import type { Construct } from 'constructs';
import type { Environment } from '../../shared/config.ts';
import { type LogSettings, registryLog } from './registry-log.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** Under this name a function's Metadata tells its source, for whoever runs it without a bundle. */
export const ENTRY_METADATA = 'registry:entry';

export interface RegistryFunctionProps {
  /** `api` stands for `functions/api.lambda.ts`, which exports `handler`. */
  readonly name: string;
  readonly environment: Environment;
  readonly timeout: Duration;
  readonly logs: LogSettings;
  /** Invocations that are kept for it, and that it never exceeds; absent: none are. */
  readonly reservedConcurrency?: number;
  /** 1024 unless given: memory buys processor time, and most of the work is signatures. */
  readonly memoryMegabytes?: number;
  /** False leaves the code out: for tests, and where the source itself is run. */
  readonly bundle: boolean;
}

/**
 * One function of an instance, with a log group of its own and a role that may write to that log
 * and nothing else: what more it may do is granted by name.
 */
export function registryFunction(
  scope: Construct,
  id: string,
  props: RegistryFunctionProps,
): LambdaFunction {
  const entry = `functions/${props.name}.lambda.ts`;
  const logGroup = registryLog(scope, `${id}Log`, props.logs);
  const role = new Role(scope, `${id}Role`, {
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
  });
  logGroup.grantWrite(role);
  const settings = {
    role,
    logGroup,
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    timeout: props.timeout,
    memorySize: props.memoryMegabytes ?? 1024,
    ...(props.reservedConcurrency === undefined
      ? {}
      : { reservedConcurrentExecutions: props.reservedConcurrency }),
    environment: { ...props.environment },
  };
  const made = props.bundle
    ? new NodejsFunction(scope, id, { ...settings, ...bundled(entry) })
    : new LambdaFunction(scope, id, {
        ...settings,
        handler: 'index.handler',
        code: Code.fromInline('exports.handler = async () => { throw new Error("no bundle"); };'),
      });
  const resource = made.node.defaultChild as CfnFunction;
  resource.addMetadata(ENTRY_METADATA, entry);
  return made;
}

function bundled(entry: string) {
  return {
    entry: join(ROOT, entry),
    handler: 'handler',
    projectRoot: ROOT,
    depsLockFilePath: join(ROOT, 'package-lock.json'),
    bundling: {
      format: OutputFormat.ESM,
      target: 'node24',
      mainFields: ['module', 'main'],
      // The SDK that was tested is the one that runs; Lambda's own changes without notice.
      bundleAwsSDK: true,
      // Packages that are still CommonJS ask for `require`, which an ES module has not.
      banner:
        "import { createRequire as __createRequire } from 'node:module';" +
        'const require = __createRequire(import.meta.url);',
    },
  };
}

/** As long as HTTP API waits for an answer. */
export const API_TIMEOUT = Duration.seconds(30);
