import { join } from 'node:path';
import { type App, Duration, Stage } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type InstanceConfig, InstanceConfigError, readInstances } from '../instance-config.ts';
import { AlarmsStack } from './alarms-stack.ts';
import { ApiStack } from './api-stack.ts';
import { EventsStack } from './events-stack.ts';
import { ReplicationStack } from './replication-stack.ts';
import { StorageStack } from './storage-stack.ts';

export interface InstanceStageProps {
  readonly instance: InstanceConfig;
  /** False leaves out the custom domain with its mutual TLS, which emulators do not have. */
  readonly customDomain: boolean;
  /** False leaves out the functions' code. */
  readonly bundle: boolean;
}

/** One instance: its storage, and what works on it, each deployed apart. */
export class InstanceStage extends Stage {
  constructor(scope: Construct, { instance, customDomain, bundle }: InstanceStageProps) {
    super(scope, instance.name, {
      env: {
        ...(instance.account === undefined ? {} : { account: instance.account }),
        ...(instance.region === undefined ? {} : { region: instance.region }),
      },
    });
    const domain = customDomain ? requiredDomain(instance) : undefined;
    const { restoredTable } = instance;
    const storage = new StorageStack(this, 'storage', {
      instanceName: instance.name,
      ...(restoredTable === undefined ? {} : { restoredTable }),
    });
    const replication = new ReplicationStack(this, 'replication', { instance, storage, bundle });
    const api = new ApiStack(this, 'api', {
      instance,
      storage,
      replication,
      bundle,
      ...(domain === undefined ? {} : { domain }),
    });
    const events = new EventsStack(this, 'events', { instance, storage, replication, bundle });
    new AlarmsStack(this, 'alarms', {
      instanceName: instance.name,
      lagAlarm: Duration.minutes(instance.lagAlarmMinutes),
      replication,
      api,
      events,
    });
  }
}

function requiredDomain({ domain, localEndpoints, file }: InstanceConfig) {
  if (domain === undefined)
    throw new InstanceConfigError(
      `${file}: domainName is missing: give it with serverCertificateArn and ` +
        'ownershipCertificateArn, or leave the custom domain out with --context customDomain=false',
    );
  if (localEndpoints)
    throw new InstanceConfigError(
      `${file}: localEndpoints is true: set it to false, for peers of an instance that is reached ` +
        'by a custom domain are never on its own machine',
    );
  return domain;
}

/**
 * Adds one stage for each file of the instances folder. Context: `instances` (folder, from where
 * the program was started; infra/instances unless given), `customDomain` and `bundle` (true unless
 * given as false). Throws InstanceConfigError.
 */
export function addInstances(app: App): void {
  // Ordinary exports: a stack that others still use cannot be removed or replaced beneath them.
  app.node.setContext('@aws-cdk/core:defaultCrossStackReferences', 'strong');
  const directory: unknown =
    app.node.tryGetContext('instances') ?? join(import.meta.dirname, '..', 'instances');
  if (typeof directory !== 'string')
    throw new InstanceConfigError('context "instances" is no text: give the path of a folder');
  const customDomain = contextFlag(app, 'customDomain');
  const bundle = contextFlag(app, 'bundle');
  for (const instance of readInstances(directory))
    new InstanceStage(app, { instance, customDomain, bundle });
}

/** Context is text when it comes from the command line. */
function contextFlag(app: App, name: string): boolean {
  const value: unknown = app.node.tryGetContext(name);
  if (value === undefined || value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  throw new InstanceConfigError(
    `context "${name}" is ${JSON.stringify(value)}: give true or false`,
  );
}
