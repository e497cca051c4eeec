import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SQSClient } from '@aws-sdk/client-sqs';
import { type Config, parseConfig } from '../../config.ts';
import type { CertificateId } from '../../ledger/digest.ts';
import { DenyList } from '../../registry/deny-list.ts';
import type { PeerTransport } from '../../registry/peer-transport.ts';
import type {
  Alarms,
  BlobStore,
  Clock,
  LedgerStore,
  Outbox,
  Random,
  Signer,
} from '../../registry/ports.ts';
import type { PublishPorts } from '../../registry/publish-events.ts';
import { guardedTransport } from '../guarded-transport.ts';
import { PeerHttps } from '../peer-https.ts';
import { systemClock, systemRandom } from '../system.ts';
import { DynamoDenials } from './dynamo-denials.ts';
import { DynamoLedgerStore } from './dynamo-ledger-store.ts';
import { EmfAlarms } from './emf-alarms.ts';
import { EventBridgeEvents } from './eventbridge-events.ts';
import { logLine } from './log-line.ts';
import { S3BlobStore } from './s3-blob-store.ts';
import { type InstanceKey, secretSigner } from './secret-signer.ts';
import { SqsOutbox } from './sqs-outbox.ts';

/** Everything that one instance consists of: the ports on AWS, and its configuration. */
export interface Instance {
  readonly config: Config;
  readonly store: LedgerStore;
  readonly blobs: BlobStore;
  readonly outbox: Outbox;
  readonly transport: PeerTransport;
  readonly signer: Signer;
  /** The certificate that introduces this instance to others. */
  readonly certificatePem: string;
  readonly clusterCaPem: string;
  readonly admits: (lead: CertificateId) => boolean;
  /** Whom this instance neither serves nor calls, by its file and by its operators. */
  readonly denyList: DenyList;
  readonly alarms: Alarms;
  readonly clock: Clock;
  readonly random: Random;
}

export type OpenInstance = () => Promise<Instance>;

/** Answers of a peer are waited for so long: less than its gateway's 30 seconds would allow. */
const PEER_TIMEOUT_MS = 25_000;

/**
 * The instance that the environment describes. Clients are made once; the key is read again every
 * few minutes, so that a renewed one comes into use without a deployment. Endpoints, region and
 * credentials come from AWS's own variables.
 */
export function instanceFrom(environment: NodeJS.ProcessEnv): OpenInstance {
  const config = parseConfig(environment);
  const { tableName } = config;
  const client = new DynamoDBClient({});
  const store = new DynamoLedgerStore({ client, tableName });
  const denyList = new DenyList({
    store: new DynamoDenials({ client, tableName }),
    clock: systemClock,
    inFile: config.denied,
  });
  const alarms = new EmfAlarms({ instanceName: config.instanceName });
  const keyOf = secretSigner(new SecretsManagerClient({}), config.keySecretArn);
  const fixed = {
    config,
    store,
    blobs: new S3BlobStore({
      client: new S3Client({ logger: s3Logger }),
      bucketName: config.bucketName,
    }),
    outbox: new SqsOutbox({
      client: new SQSClient({}),
      deliveryQueueUrl: config.deliveryQueueUrl,
      fetchQueueUrl: config.fetchQueueUrl,
    }),
    clusterCaPem: config.clusterCaPem,
    denyList,
    alarms,
    clock: systemClock,
    random: systemRandom,
  };
  let open: { readonly key: InstanceKey; readonly transport: PeerTransport } | undefined;
  return async () => {
    const key = await keyOf();
    if (open?.key !== key) {
      const transport = openTransport(config, key, (peer) => store.certificate(peer));
      open = { key, transport: guardedTransport(transport, { denyList, alarms }) };
    }
    const { signer, certificatePem } = key;
    const admits = admitting(config, await denyList.ids());
    return { ...fixed, admits, signer, certificatePem, transport: open.transport };
  };
}

/** Whose new registries are mirrored: whom the file admits and nobody denies. */
export function admitting(
  { admittedLeads }: Pick<Config, 'admittedLeads'>,
  denied: ReadonlySet<string>,
): (lead: CertificateId) => boolean {
  return (lead) => !denied.has(lead) && (admittedLeads === 'any' || admittedLeads.has(lead));
}

/** What telling applications takes: neither the key nor the bucket, so its role reaches neither. */
export type Publication = PublishPorts;

/** The same instance, as far as it publishes events. */
export function publicationFrom(environment: NodeJS.ProcessEnv): Publication {
  const { instanceName, tableName, eventBusName } = parseConfig(environment);
  return {
    instanceName,
    store: new DynamoLedgerStore({ client: new DynamoDBClient({}), tableName }),
    events: new EventBridgeEvents({ client: new EventBridgeClient({}), eventBusName }),
  };
}

function openTransport(
  config: Config,
  key: InstanceKey,
  certificateOf: (peer: CertificateId) => Promise<string | undefined>,
): PeerTransport {
  return new PeerHttps({
    keyPem: key.privateKeyPem,
    certificatePem: key.certificatePem,
    clusterCaPem: config.clusterCaPem,
    localEndpoints: config.localEndpoints,
    certificateOf,
    timeoutMs: PEER_TIMEOUT_MS,
  });
}

/**
 * The SDK's own words as structured lines. What it says in objects are errors that it throws as
 * well, an absent object among them: whoever called it judges those.
 */
const s3Logger = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: (message: unknown) => sayText('warn', message),
  error: (message: unknown) => sayText('error', message),
};

function sayText(level: 'warn' | 'error', message: unknown): void {
  if (typeof message === 'string') logLine(level, message);
}
