import { join } from 'node:path';
import { type App, Stage, Tags } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { type InstanceConfig, readInstances } from '../instance-config.ts';
import { InstanceConfigError } from '../instance-fields.ts';
import { AlarmsStack } from './alarms-stack.ts';
import { ApiStack } from './api-stack.ts';
import { EventsStack } from './events-stack.ts';
import { KeysStack } from './keys-stack.ts';
import { ReplicationStack } from './replication-stack.ts';
import { StorageStack } from './storage-stack.ts';

export interface InstanceStageProps {
  readonly instance: InstanceConfig;
  /** True leaves out what emulators of AWS lack: domain, backups, trail, termination protection, account. */
  readonly emulator: boolean;
  /** False leaves out the functions' code. */
  readonly bundle: boolean;
}

/** By this tag the bill is split, whatever the file says beside it. */
const INSTANCE_TAG = 'registry-instance';

/** One instance: its keys, its storage, and what works on it, each deployed apart. */
export class InstanceStage extends Stage {
  constructor(scope: Construct, { instance, emulator, bundle }: InstanceStageProps) {
    super(scope, instance.name, { env: emulator ? {} : placeOf(instance) });
    const domain = emulator ? undefined : requiredDomain(instance);
    const terminationProtection = !emulator;
    const keys = new KeysStack(this, 'keys', {
      instanceName: instance.name,
      terminationProtection,
    });
    const storage = new StorageStack(this, 'storage', {
      instance,
      keys,
      guards: !emulator,
      terminationProtection,
    });
    const logs = { retentionDays: instance.logRetentionDays, key: keys.workKey };
    const common = { instance, keys, storage, logs, bundle };
    const replication = new ReplicationStack(this, 'replication', common);
    const api = new ApiStack(this, 'api', {
      ...common,
      replication,
      ...(domain === undefined ? {} : { domain }),
    });
    const events = new EventsStack(this, 'events', { ...common, replication });
    new AlarmsStack(this, 'alarms', {
      instance,
      keys,
      storage,
      replication,
      api,
      events,
      ...(domain === undefined ? {} : { domain }),
    });
    for (const [name, value] of Object.entries({ ...instance.tags, [INSTANCE_TAG]: instance.name }))
      Tags.of(this).add(name, value);
  }
}

/** An emulator has an account and a region of its own: those that whoever deploys is logged in to. */
function placeOf({ account, region }: InstanceConfig) {
  return {
    ...(account === undefined ? {} : { account }),
    ...(region === undefined ? {} : { region }),
  };
}

function requiredDomain({ domain, localEndpoints, file }: InstanceConfig) {
  if (domain === undefined)
    throw new InstanceConfigError(
      `${file}: domainName is missing: give it with serverCertificateArn and ` +
        'ownershipCertificateArn, or leave the custom domain out with --context emulator=true',
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
 * the program was started; infra/instances unless given), `emulator` (false unless given) and
 * `bundle` (true unless given). Throws InstanceConfigError.
 */
export function addInstances(app: App): void {
  // Ordinary exports: a stack that others still use cannot be removed or replaced beneath them.
  app.node.setContext('@aws-cdk/core:defaultCrossStackReferences', 'strong');
  const directory: unknown =
    app.node.tryGetContext('instances') ?? join(import.meta.dirname, '..', 'instances');
  if (typeof directory !== 'string')
    throw new InstanceConfigError('context "instances" is no text: give the path of a folder');
  const emulator = contextFlag(app, 'emulator', false);
  const bundle = contextFlag(app, 'bundle', true);
  for (const instance of readInstances(directory))
    new InstanceStage(app, { instance, emulator, bundle });
}

/** Context is text when it comes from the command line. */
function contextFlag(app: App, name: string, unlessGiven: boolean): boolean {
  const value: unknown = app.node.tryGetContext(name) ?? unlessGiven;
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  throw new InstanceConfigError(
    `context "${name}" is ${JSON.stringify(value)}: give true or false`,
  );
}
