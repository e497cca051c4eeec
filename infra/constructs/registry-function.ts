import { Duration } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Architecture,
  type CfnFunction,
  Code,
  Function as LambdaFunction,
  LoggingFormat,
  RecursiveLoop,
  Runtime,
} from 'aws-cdk-lib/aws-lambda';
import { NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs';
import type { Construct } from 'constructs';
import type { Environment } from '../../shared/config.ts';
import { bundled } from './bundling.ts';
import { type LogSettings, registryLog } from './registry-log.ts';

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
  /** True where it pokes the queue that wakes it, as often as there is more to do. */
  readonly wakesItself?: boolean;
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
    // What Lambda itself says is one JSON object a line, as what the functions write is.
    loggingFormat: LoggingFormat.JSON,
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    timeout: props.timeout,
    memorySize: props.memoryMegabytes ?? 1024,
    ...(props.reservedConcurrency === undefined
      ? {}
      : { reservedConcurrentExecutions: props.reservedConcurrency }),
    // Lambda would stop such a chain at its sixteenth link, and send the poke to the dead letters.
    ...(props.wakesItself === true ? { recursiveLoop: RecursiveLoop.ALLOW } : {}),
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

/** As long as HTTP API waits for an answer. */
export const API_TIMEOUT = Duration.seconds(30);
