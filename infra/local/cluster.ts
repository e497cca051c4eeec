/** Several instances on this machine, run from the same templates that a deployment uses. */
import { join, resolve } from 'node:path';
import { lockDirectory } from './directory-lock.ts';
import { type AccessKey, accessKeyFor, type EmulatorName, EmulatorSet } from './emulators.ts';
import { Identities } from './identity.ts';
import { type InstanceOptions, RunningInstance } from './instance.ts';
import { type InstanceIdentities, identitiesOf } from './instance-identities.ts';
import { LogFile } from './log-file.ts';
import { planInstance } from './plan.ts';
import { freePort } from './port.ts';
import { type RefusedCall, type RightsReport, reportRights, writeRights } from './rights-report.ts';
import { type LocalSettings, synthesise } from './synthesis.ts';
import { readStage } from './template.ts';

export interface LocalInstance {
  readonly name: string;
  /** Of its mutual TLS listener on localhost; 0 takes any free one. */
  readonly port: number;
  /** The value of the instance's secret: `{"privateKeyPem": …, "certificatePem": …, …}`. */
  readonly keyFile: string;
  readonly settings: LocalSettings;
  /** True: made ready, but started only by `startInstance`. */
  readonly offline?: boolean;
}

export interface ClusterOptions {
  /**
   * Holds everything that lasts, the logs `<directory>/<instance>/log.jsonl`, and what applications
   * are told: `<directory>/<instance>/events.jsonl`.
   */
  readonly directory: string;
  readonly instances: readonly LocalInstance[];
  /** True keeps tables and queues in memory only: for tests. */
  readonly inMemory?: boolean;
  /** Of the emulators; any free ones unless given. */
  readonly ports?: Partial<Record<EmulatorName, number>>;
  /** In place of the templates' minute. */
  readonly sweepSeconds?: number;
  /** A cloud assembly to run in place of the one that infra/app.ts makes. */
  readonly assembly?: string;
  /** Files to load in place of the functions' sources, by source: `functions/api.lambda.ts`. */
  readonly bundles?: ReadonlyMap<string, string>;
  /** Lets the folder go, where the caller has claimed it already. */
  readonly release?: () => void;
}

export interface ClusterInstance {
  readonly name: string;
  /** Base URL for clients with a certificate: `https://localhost:<port>`. */
  readonly endpoint: string;
  /** Its folder in the cluster's. */
  readonly directory: string;
}

/** Hears one line of the log of the instance with that name: a JSON object. */
export type LogListener = (name: string, line: string) => void;

interface Member extends ClusterInstance {
  readonly options: InstanceOptions;
  /** For those who may do everything. */
  readonly environment: Readonly<Record<string, string>>;
  running: RunningInstance | undefined;
}

const ROOT = join(import.meta.dirname, '..', '..');
const REGION = 'eu-central-1';
/** The account that the emulator of queues puts into its ARNs. */
const ACCOUNT = '000000000000';

/**
 * Starts emulators and instances and resolves when all of them can be reached.
 *
 * Rejects with a sentence for a taken port, a missing Java, a folder in use, a setting that
 * infra/app.ts refuses, or a part of the templates that cannot be run here; nothing is left
 * running then.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const directory = resolve(options.directory);
  const cluster = new Cluster(options.release ?? lockDirectory(directory));
  try {
    const settings = new Map(options.instances.map((each) => [each.name, each.settings]));
    const synthesis = options.assembly ?? synthesise(ROOT, directory, settings);
    cluster.onClose(() => synthesis);
    const keys = new Map(options.instances.map(({ name }) => [name, accessKeyFor(name)]));
    const identities = new Identities([...keys.values()].map(({ id }) => id));
    const emulators = await EmulatorSet.start({
      directory,
      inMemory: options.inMemory ?? false,
      ports: options.ports ?? {},
      region: REGION,
      accessKeys: [...keys.values()],
      identities,
    });
    cluster.onClose(() => emulators.close());
    const heard = (name: string, line: string) => cluster.heard(name, line);
    const refused = (call: RefusedCall) => cluster.refused(call);
    const assembly = await synthesis;
    const context = { directory, emulators, assembly, options, heard, refused };
    for (const [name, key] of keys) {
      const member = await memberOf(name, key, context);
      for (const identity of member.options.identities.values()) identities.add(identity);
      cluster.add(member);
      cluster.onClose(() => member.options.log.close());
    }
    for (const { name, offline } of options.instances)
      if (offline !== true) await cluster.startInstance(name);
    cluster.onClose(() => writeRights(directory, cluster.rights()));
    return cluster;
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

/** A running cluster; `startCluster` makes it. */
export class Cluster {
  private readonly members: Member[] = [];
  private readonly closers: (() => unknown)[] = [];
  private readonly listeners = new Set<LogListener>();
  private readonly refusals: RefusedCall[] = [];
  private readonly unlock: () => void;
  private closing: Promise<void> | undefined;

  constructor(unlock: () => void) {
    this.unlock = unlock;
  }

  get instances(): readonly ClusterInstance[] {
    return this.members.map(({ name, endpoint, directory }) => ({ name, endpoint, directory }));
  }

  /** Takes the instance offline at once, as if its machine went away. Its data stays. */
  async stopInstance(name: string): Promise<void> {
    const member = this.member(name);
    const { running } = member;
    member.running = undefined;
    await running?.stop();
  }

  /** Brings the instance back at the same endpoint. */
  async startInstance(name: string): Promise<void> {
    const member = this.member(name);
    member.running ??= await RunningInstance.start(member.options);
  }

  /**
   * The environment of the instance's functions, for programs that work on the same table. Its
   * credentials are those of somebody who may do everything in the instance's account.
   */
  environmentOf(name: string): Readonly<Record<string, string>> {
    const { environment, options } = this.member(name);
    return { ...options.plan.functions[0]?.environment, ...environment };
  }

  /**
   * Runs a function past its queue or route. `entry` is its source, or the name in
   * `functions/<name>.lambda.ts`. Rejects when it fails, or when the instance is stopped.
   */
  async invoke(instance: string, entry: string, event: unknown): Promise<unknown> {
    const { options, running } = this.member(instance);
    const found = options.plan.functions.find((each) =>
      [entry, `functions/${entry}.lambda.ts`].includes(each.entry),
    );
    if (found === undefined) throw new Error(`${instance} has no function ${entry}`);
    if (running === undefined) throw new Error(`${instance} is stopped: start it first`);
    return await running.invoke(found.name, event);
  }

  /** Tells every line of every instance's log from now on, until what it gives is called. */
  listen(listener: LogListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** What the functions' roles allow and what they tried, so far. */
  rights(): RightsReport {
    const functions = this.members.flatMap(({ name, options: { plan, identities } }) =>
      plan.functions.map(({ name: functionName, entry }) => ({
        instance: name,
        function: entry,
        unused: identities.get(functionName)?.unusedGrants() ?? [],
      })),
    );
    return reportRights(functions, this.refusals);
  }

  /** Ends all instances and all emulators. May be called more than once. */
  close(): Promise<void> {
    this.closing ??= this.closeOnce();
    return this.closing;
  }

  /** For `startCluster`: what is to be closed when all instances are. */
  onClose(closer: () => unknown): void {
    this.closers.push(closer);
  }

  /** For `startCluster`. */
  add(member: Member): void {
    this.members.push(member);
  }

  /** For `startCluster`. */
  heard(name: string, line: string): void {
    for (const listener of this.listeners) listener(name, line);
  }

  /** For `startCluster`. */
  refused(call: RefusedCall): void {
    this.refusals.push(call);
  }

  private async closeOnce(): Promise<void> {
    await Promise.allSettled(this.members.map(({ name }) => this.stopInstance(name)));
    await Promise.allSettled(this.closers.map(async (closer) => await closer()));
    this.unlock();
  }

  private member(name: string): Member {
    const member = this.members.find((each) => each.name === name);
    if (member !== undefined) return member;
    const names = this.members.map((each) => each.name).join(', ');
    throw new Error(`there is no instance "${name}": the cluster has ${names}`);
  }
}

interface Context {
  readonly directory: string;
  readonly emulators: EmulatorSet;
  readonly assembly: string;
  readonly options: ClusterOptions;
  readonly heard: LogListener;
  readonly refused: (call: RefusedCall) => void;
}

async function memberOf(name: string, key: AccessKey, context: Context): Promise<Member> {
  const { emulators, options } = context;
  const instance = options.instances.find((each) => each.name === name);
  if (instance === undefined) throw new Error(`no instance ${name}`);
  const { endpoints, gateways } = emulators;
  const plan = planInstance(readStage(context.assembly, name), {
    instance: name,
    region: REGION,
    account: ACCOUNT,
    // The SDK goes where the URL of the queue says, whatever endpoint it is given.
    queueUrlOf: (queueName) => `${gateways.queues}/${ACCOUNT}/${queueName}`,
  });
  for (const arn of plan.secretArns)
    emulators.secrets.add({ accessKeyId: key.id, arn, file: instance.keyFile });
  const directory = join(context.directory, name);
  for (const bus of plan.buses)
    emulators.events.add({ ...bus, accessKeyId: key.id, file: join(directory, 'events.jsonl') });
  const port = await freePort(instance.port, `the port of instance ${name}`);
  const log = new LogFile(join(directory, 'log.jsonl'), (line) => context.heard(name, line));
  const identities = identitiesOf({
    instance: name,
    instanceKey: key,
    plan,
    region: REGION,
    account: ACCOUNT,
    onRefusal: ({ entry }, sentence) => {
      log.write({ level: 'ERROR', message: `refused: ${sentence}` });
      context.refused({ instance: name, function: entry, sentence });
    },
  });
  const service = { region: REGION, accessKeyId: key.id };
  const { bundles, sweepSeconds } = options;
  return {
    name,
    directory,
    endpoint: `https://localhost:${port}`,
    running: undefined,
    environment: awsEnvironment(key, endpoints),
    options: {
      root: ROOT,
      directory,
      port,
      plan,
      ...(bundles === undefined ? {} : { bundles }),
      functions: plan.functions.map((planned) => ({
        ...planned,
        environment: {
          ...planned.environment,
          ...awsEnvironment(keyOf(identities, planned.name), { ...endpoints, ...gateways }),
        },
      })),
      identities,
      emulators: {
        dynamoDb: { ...service, endpoint: endpoints.dynamodb },
        sqs: { ...service, endpoint: endpoints.queues },
        queues: emulators.queues,
        objects: emulators.objects,
      },
      keyFile: instance.keyFile,
      clusterCaPem: instance.settings.clusterCa,
      ...(sweepSeconds === undefined ? {} : { sweepSeconds }),
      log,
    },
  };
}

function keyOf(identities: InstanceIdentities, functionName: string): AccessKey {
  const identity = identities.get(functionName);
  if (identity === undefined) throw new Error(`${functionName} has no identity`);
  return identity.accessKey;
}

/** As Lambda gives it to a function, with the endpoints that stand for AWS. */
function awsEnvironment(
  key: AccessKey,
  endpoints: EmulatorSet['endpoints'],
): Readonly<Record<string, string>> {
  return {
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: key.id,
    AWS_SECRET_ACCESS_KEY: key.secret,
    AWS_ENDPOINT_URL_DYNAMODB: endpoints.dynamodb,
    AWS_ENDPOINT_URL_EVENTBRIDGE: endpoints.events,
    AWS_ENDPOINT_URL_S3: endpoints.objects,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoints.secrets,
    AWS_ENDPOINT_URL_SQS: endpoints.queues,
  };
}
