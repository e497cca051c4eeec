/**
 * The environment variables of every function: `infra` sets them, the functions read them.
 *
 * Endpoints, region and credentials of AWS come from AWS's own variables and are not named here.
 */

/** Names of the environment variables. Every function of an instance gets all of them. */
export const environmentNames = [
  'INSTANCE_NAME',
  'TABLE_NAME',
  'BUCKET_NAME',
  'DELIVERY_QUEUE_URL',
  'FETCH_QUEUE_URL',
  'EVENT_BUS_NAME',
  'KEY_SECRET_ARN',
  'CLUSTER_CA',
  'APPLICATIONS',
  'OPERATORS',
  'AUDITORS',
  'DENIED',
  'ADMITTED_LEADS',
  'AUDIT_PERIOD_DAYS',
  'LOCAL_ENDPOINTS',
] as const;

export type EnvironmentName = (typeof environmentNames)[number];
export type Environment = Record<EnvironmentName, string>;

/** What one instance is told about itself and its callers. */
export interface Config {
  /** Short name for logs and metrics, for example `client`. */
  readonly instanceName: string;
  readonly tableName: string;
  readonly bucketName: string;
  readonly deliveryQueueUrl: string;
  readonly fetchQueueUrl: string;
  /** Bus of EventBridge on which applications hear what this instance stored. */
  readonly eventBusName: string;
  /** Secrets Manager secret: `{"privateKeyPem": "…", "certificatePem": "…", "formerIds": ["…"]}`. */
  readonly keySecretArn: string;
  /** One or more CA certificates in PEM, one after the other. */
  readonly clusterCaPem: string;
  /** Certificate ids by role (protocol section 9). */
  readonly applications: ReadonlySet<string>;
  readonly operators: ReadonlySet<string>;
  readonly auditors: ReadonlySet<string>;
  /** Certificate ids that are refused whatever else they are. */
  readonly denied: ReadonlySet<string>;
  /** Leads whose new registries this instance mirrors; `any` admits every peer of the cluster. */
  readonly admittedLeads: ReadonlySet<string> | 'any';
  /** Within so many days everything that is stored is read again and checked. */
  readonly auditPeriodDays: number;
  /** True only where peers live on this machine: loopback endpoints are refused otherwise. */
  readonly localEndpoints: boolean;
}

const CERTIFICATE_ID = /^[0-9a-f]{64}$/;

/** Days of `auditPeriodDays`: what is found after a year helps nobody any more. */
export const auditPeriod = { least: 1, most: 365, unlessGiven: 30 } as const;

/** Parses the environment. Throws a sentence that names the variable and what it should be. */
export function parseConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const text = (name: EnvironmentName): string => {
    const value = environment[name];
    if (value === undefined)
      throw new Error(`environment variable ${name} is missing: deploy the stacks in infra again`);
    return value;
  };
  const filled = (name: EnvironmentName): string => {
    const value = text(name);
    if (value === '') throw new Error(`environment variable ${name} is empty`);
    return value;
  };
  const ids = (name: EnvironmentName): ReadonlySet<string> => {
    const list = text(name)
      .split(',')
      .filter((id) => id !== '');
    for (const id of list)
      if (!CERTIFICATE_ID.test(id))
        throw new Error(
          `environment variable ${name}: "${id}" is no certificate id (64 hex digits)`,
        );
    return new Set(list);
  };
  return {
    instanceName: filled('INSTANCE_NAME'),
    tableName: filled('TABLE_NAME'),
    bucketName: filled('BUCKET_NAME'),
    deliveryQueueUrl: filled('DELIVERY_QUEUE_URL'),
    fetchQueueUrl: filled('FETCH_QUEUE_URL'),
    eventBusName: filled('EVENT_BUS_NAME'),
    keySecretArn: filled('KEY_SECRET_ARN'),
    clusterCaPem: filled('CLUSTER_CA'),
    applications: ids('APPLICATIONS'),
    operators: ids('OPERATORS'),
    auditors: ids('AUDITORS'),
    denied: ids('DENIED'),
    admittedLeads: text('ADMITTED_LEADS') === 'any' ? 'any' : ids('ADMITTED_LEADS'),
    auditPeriodDays: parseDays(text('AUDIT_PERIOD_DAYS')),
    localEndpoints: text('LOCAL_ENDPOINTS') === 'true',
  };
}

function parseDays(text: string): number {
  const { least, most } = auditPeriod;
  const days = Number(text);
  if (/^\d+$/.test(text) && days >= least && days <= most) return days;
  throw new Error(
    `environment variable AUDIT_PERIOD_DAYS is "${text}": expected a whole number from ${least} to ` +
      `${most}`,
  );
}

/** The value of a variable that holds certificate ids. */
export function formatIds(ids: Iterable<string>): string {
  return [...ids].join(',');
}

/** Key attributes of the instance's table; infra creates it with them. */
export const tableKey = { partition: 'pk', sort: 'sk' } as const;

/** The table's one index, and its key attributes: only items that are in a list have them. */
export const listsIndex = { name: 'lists', partition: 'list', sort: 'at' } as const;

/**
 * Prefixes of partition keys that wake the fan-out function through the table's stream: a new head
 * means new entries to deliver, a new log head means new statements to send.
 */
export const fanOutPrefixes = ['HEAD#', 'LOGHEAD#'] as const;

/**
 * Prefixes of partition keys whose new items wake the publish function through the table's stream:
 * entries, confirmations, conflicts, and changes of the set of open ones. Each is put once; one that
 * is rewritten is no event.
 */
export const publishPrefixes = ['ENTRY#', 'CONFIRMATION#', 'CONFLICT#', 'OPENSET#'] as const;

/** What a redaction may change: of a transaction's item, these attributes and nothing else. */
export const redactable = {
  prefix: 'TRANSACTION#',
  attributes: ['details', 'redaction'],
} as const;

/** Prefixes of all that events are made of: also an entry's transaction, and the head. */
export const publishReadPrefixes = [...publishPrefixes, redactable.prefix, 'HEAD#'] as const;
