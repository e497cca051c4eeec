import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { callAws } from './aws-json.ts';
import { FunctionHost, type HostedFunction } from './function-host.ts';
import { checkMappings, type InstanceIdentities } from './instance-identities.ts';
import { startListener } from './listener.ts';
import type { LogFile } from './log-file.ts';
import type { InstancePlan, StreamMapping } from './plan.ts';
import { type Emulators, type Provisioned, provision } from './provision.ts';
import { QueuePoller } from './queue-poller.ts';
import { routeKeyOf } from './routes.ts';
import { Scheduler } from './scheduler.ts';
import { StreamPoller, type StreamRecord } from './stream-poller.ts';
import { StreamPosition } from './stream-position.ts';

export interface InstanceOptions {
  readonly root: string;
  /** The instance's own folder. */
  readonly directory: string;
  readonly port: number;
  readonly plan: InstancePlan;
  /** Files to load in place of the functions' sources, by source. */
  readonly bundles?: ReadonlyMap<string, string>;
  readonly functions: readonly HostedFunction[];
  readonly identities: InstanceIdentities;
  readonly emulators: Emulators;
  /** The secret's value: `{"privateKeyPem": "…", "certificatePem": "…", …}`. */
  readonly keyFile: string;
  readonly clusterCaPem: string;
  /** In place of the templates' intervals. */
  readonly sweepSeconds?: number;
  readonly log: LogFile;
}

interface Stoppable {
  stop(): Promise<void>;
}

/** One instance at work: its functions, what wakes them, and its way in. */
export class RunningInstance {
  readonly port: number;
  private readonly host: FunctionHost;
  private readonly sources: readonly Stoppable[];
  private readonly closeListener: () => Promise<void>;

  private constructor(
    port: number,
    host: FunctionHost,
    sources: readonly Stoppable[],
    closeListener: () => Promise<void>,
  ) {
    this.port = port;
    this.host = host;
    this.sources = sources;
    this.closeListener = closeListener;
  }

  /** Makes what is missing, then starts what reads, and last of all lets requests in. */
  static async start(options: InstanceOptions): Promise<RunningInstance> {
    const { plan, log } = options;
    const provisioned = await provision(plan, options.emulators);
    checkMappings(plan, options.identities);
    const host = new FunctionHost(options);
    const sources: Stoppable[] = [];
    try {
      for (const mapping of plan.streams)
        sources.push(await startStream(options, provisioned, host, mapping));
      for (const mapping of plan.pokes)
        sources.push(
          new QueuePoller({
            service: options.emulators.sqs,
            queueUrl: urlOfQueue(plan, mapping.queueArn),
            mapping,
            invoke: (event) => host.invoke(mapping.functionName, event),
            log,
          }),
        );
      for (const schedule of plan.schedules)
        sources.push(
          new Scheduler({
            schedule,
            ...secondsOf(plan, schedule.functionName, options),
            invoke: (event) => host.invoke(schedule.functionName, event),
            log,
          }),
        );
      const listener = await listen(options, host);
      return new RunningInstance(listener.port, host, sources, () => listener.close());
    } catch (error) {
      await stopAll(host, sources);
      throw error;
    }
  }

  /** Runs one function with an event, past every queue and route. */
  invoke(functionName: string, event: unknown): Promise<unknown> {
    return this.host.invoke(functionName, event);
  }

  /** Ends everything at once, as if the machine went away; what is stored stays. */
  async stop(): Promise<void> {
    await Promise.all([this.closeListener(), stopAll(this.host, this.sources)]);
  }
}

/** The sweep alone is sooner than the templates say: the other schedules are not waited for. */
function secondsOf(
  { functions }: InstancePlan,
  functionName: string,
  { sweepSeconds }: InstanceOptions,
): { readonly seconds?: number } {
  const { entry } = functions.find(({ name }) => name === functionName) ?? {};
  if (sweepSeconds === undefined || entry !== 'functions/sweep.lambda.ts') return {};
  return { seconds: sweepSeconds };
}

async function stopAll(host: FunctionHost, sources: readonly Stoppable[]): Promise<void> {
  await Promise.all([...sources.map((source) => source.stop()), host.stop()]);
}

async function listen(options: InstanceOptions, host: FunctionHost) {
  const { port, plan, keyFile, clusterCaPem, log } = options;
  const { privateKeyPem, certificatePem } = await readKey(keyFile);
  return await startListener({
    port,
    keyPem: privateKeyPem,
    certificatePem,
    clusterCaPem,
    routeKeyOf: (method, path) => routeKeyOf(plan.routes, method, path),
    invoke: async (event) => {
      const route = plan.routes.find(({ key }) => key === event.routeKey);
      if (route === undefined) return { statusCode: 404, body: '{"message":"Not Found"}' };
      try {
        return await host.invoke(route.functionName, event);
      } catch (error) {
        log.write({ level: 'ERROR', message: `${route.functionName}: ${String(error)}` });
        throw error;
      }
    },
  });
}

async function readKey(
  file: string,
): Promise<{ readonly privateKeyPem: string; readonly certificatePem: string }> {
  const value: unknown = JSON.parse(await readFile(file, 'utf8'));
  const { privateKeyPem, certificatePem } = Object(value);
  if (typeof privateKeyPem !== 'string' || typeof certificatePem !== 'string')
    throw new Error(`${file} holds no instance key: expected privateKeyPem and certificatePem`);
  return { privateKeyPem, certificatePem };
}

async function startStream(
  options: InstanceOptions,
  provisioned: Provisioned,
  host: FunctionHost,
  mapping: StreamMapping,
): Promise<StreamPoller> {
  const { plan, emulators, log } = options;
  const stream = provisioned.streams.get(mapping.streamArn);
  if (stream === undefined) throw new Error(`no table has the stream ${mapping.streamArn}`);
  return await StreamPoller.start({
    service: emulators.dynamoDb,
    streamArn: stream.arn,
    created: stream.created,
    position: new StreamPosition(
      join(options.directory, 'streams', `${mapping.functionName}.json`),
    ),
    mapping,
    invoke: (event) => host.invoke(mapping.functionName, event),
    giveUp: async (records) => {
      const { failureQueueArn } = mapping;
      log.write({ level: 'ERROR', message: `${mapping.functionName}: gave up on records` });
      if (failureQueueArn === undefined) return;
      await callAws(emulators.sqs, 'AmazonSQS.SendMessage', {
        QueueUrl: urlOfQueue(plan, failureQueueArn),
        MessageBody: JSON.stringify(failureMessage(mapping, records)),
      });
    },
    log,
  });
}

/** The members of the message to a failure destination that say which records it is about. */
function failureMessage(mapping: StreamMapping, records: readonly StreamRecord[]): object {
  return {
    requestContext: { condition: 'RetryAttemptsExhausted' },
    DDBStreamBatchInfo: {
      streamArn: mapping.streamArn,
      startSequenceNumber: records[0]?.dynamodb.SequenceNumber,
      endSequenceNumber: records.at(-1)?.dynamodb.SequenceNumber,
      batchSize: records.length,
    },
  };
}

function urlOfQueue(plan: InstancePlan, arn: string): string {
  const queue = plan.queues.find((each) => each.arn === arn);
  if (queue === undefined) throw new Error(`no queue of the templates has the ARN ${arn}`);
  return queue.url;
}
