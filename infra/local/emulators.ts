import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { startDynamoDbLocal } from './dynamodb-local.ts';
import { type EventsServer, startEventsServer } from './events-server.ts';
import { startGateway } from './gateway.ts';
import type { Identities } from './identity.ts';
import { freePort } from './port.ts';
import { type S3Server, startS3Server } from './s3-server.ts';
import { type SecretsServer, startSecretsServer } from './secrets-server.ts';

export type EmulatorName = 'dynamodb' | 'queues' | 'objects' | 'secrets' | 'events';

/** Where functions find what keeps no rights of its own: behind a gateway that knows theirs. */
export type GatewayName = 'dynamodb' | 'queues';

export interface EmulatorOptions {
  readonly directory: string;
  readonly inMemory: boolean;
  /** Free ones unless given. */
  readonly ports: Partial<Record<EmulatorName, number>>;
  readonly region: string;
  readonly accessKeys: readonly AccessKey[];
  /** The functions, which are added once the templates were read. */
  readonly identities: Identities;
}

/** What an instance, or one of its functions, is known by to the emulators. */
export interface AccessKey {
  readonly id: string;
  readonly secret: string;
}

/** The id is the same at every start, for the tables are kept under it; the secret is not. */
export function accessKeyFor(holder: string): AccessKey {
  const digest = createHash('sha256').update(holder).digest('hex');
  return {
    id: `LOCAL${digest.slice(0, 15).toUpperCase()}`,
    secret: randomBytes(20).toString('hex'),
  };
}

/** What stands in for AWS's services, on this machine only, for all instances together. */
export class EmulatorSet {
  /** For the runner and for operators, who may do everything. */
  readonly endpoints: Readonly<Record<EmulatorName, string>>;
  readonly gateways: Readonly<Record<GatewayName, string>>;
  readonly queues: FauxqsServer;
  readonly objects: S3Server;
  readonly secrets: SecretsServer;
  readonly events: EventsServer;
  private readonly steps: readonly (() => Promise<void>)[];

  private constructor(
    endpoints: Readonly<Record<EmulatorName, string>>,
    servers: Pick<EmulatorSet, 'gateways' | 'queues' | 'objects' | 'secrets' | 'events'>,
    steps: readonly (() => Promise<void>)[],
  ) {
    this.endpoints = endpoints;
    this.gateways = servers.gateways;
    this.queues = servers.queues;
    this.objects = servers.objects;
    this.secrets = servers.secrets;
    this.events = servers.events;
    this.steps = steps;
  }

  /** Rejects with a sentence for a taken port or a missing Java; nothing is left running then. */
  static async start(options: EmulatorOptions): Promise<EmulatorSet> {
    const steps: (() => Promise<void>)[] = [];
    const started = async <Server>(
      server: Promise<Server>,
      close: (server: Server) => Promise<void>,
    ): Promise<Server> => {
      const running = await server;
      steps.push(() => close(running));
      return running;
    };
    try {
      const portOf = (name: EmulatorName) => freePort(options.ports[name] ?? 0, `ports.${name}`);
      const { identities } = options;
      const secretsPort = await portOf('secrets');
      const secrets = await started(startSecretsServer(secretsPort, identities), (server) =>
        server.close(),
      );
      const eventsPort = await portOf('events');
      const events = await started(startEventsServer(eventsPort, identities), (server) =>
        server.close(),
      );
      const objects = await started(startObjects(options, await portOf('objects')), (server) =>
        server.close(),
      );
      const queues = await started(startQueues(options, await portOf('queues')), (server) =>
        server.stop(),
      );
      const dynamoDb = await started(
        startDynamoDbLocal({
          port: await portOf('dynamodb'),
          ...(options.inMemory ? {} : { directory: join(options.directory, 'dynamodb') }),
        }),
        (server) => server.close(),
      );
      const endpoints = {
        dynamodb: dynamoDb.endpoint,
        queues: `http://127.0.0.1:${queues.port}`,
        objects: objects.endpoint,
        secrets: secrets.endpoint,
        events: events.endpoint,
      };
      const gateway = async (name: GatewayName) => {
        const port = await freePort(0, 'a gateway');
        const opened = startGateway({ port, target: endpoints[name], identities });
        return (await started(opened, (server) => server.close())).endpoint;
      };
      const gateways = { dynamodb: await gateway('dynamodb'), queues: await gateway('queues') };
      return new EmulatorSet(endpoints, { gateways, queues, objects, secrets, events }, steps);
    } catch (error) {
      await closeAll(steps);
      throw error;
    }
  }

  async close(): Promise<void> {
    await closeAll(this.steps);
  }
}

async function closeAll(steps: readonly (() => Promise<void>)[]): Promise<void> {
  // One that does not close must not keep the others open.
  await Promise.allSettled(steps.map((close) => close()));
}

function startObjects(options: EmulatorOptions, port: number): Promise<S3Server> {
  const { identities } = options;
  const secrets = new Map(options.accessKeys.map(({ id, secret }) => [id, secret]));
  return startS3Server({
    directory: join(options.directory, 'objects'),
    port,
    region: options.region,
    secretOf: (id) => secrets.get(id) ?? identities.functionOf(id)?.accessKey.secret,
    identities,
  });
}

function startQueues(options: EmulatorOptions, port: number): Promise<FauxqsServer> {
  return startFauxqs({
    port,
    logger: false,
    defaultRegion: options.region,
    ...(options.inMemory ? {} : { dataDir: join(options.directory, 'queues') }),
  });
}
