import { Token } from 'aws-cdk-lib';
import { type Environment, formatIds } from '../../shared/config.ts';
import type { InstanceConfig } from '../instance-config.ts';
import { InstanceConfigError } from '../instance-fields.ts';

/** Names, URLs and ARNs that exist only once the instance's resources do. */
export interface EnvironmentResources {
  readonly tableName: string;
  readonly bucketName: string;
  readonly deliveryQueueUrl: string;
  readonly fetchQueueUrl: string;
  readonly keySecretArn: string;
}

/** What AWS Lambda takes: all names and values of one function together. */
const ENVIRONMENT_BYTES_MAX = 4096;

/** Longer than any name, URL or ARN that CloudFormation puts in place of a token. */
const TOKEN_BYTES = 160;

/** The environment of every function of one instance. Throws where Lambda would refuse its size. */
export function environmentOf(
  instance: InstanceConfig,
  resources: EnvironmentResources,
): Environment {
  const { admittedLeads } = instance;
  const environment: Environment = {
    INSTANCE_NAME: instance.name,
    TABLE_NAME: resources.tableName,
    BUCKET_NAME: resources.bucketName,
    DELIVERY_QUEUE_URL: resources.deliveryQueueUrl,
    FETCH_QUEUE_URL: resources.fetchQueueUrl,
    EVENT_BUS_NAME: eventBusNameOf(instance),
    KEY_SECRET_ARN: resources.keySecretArn,
    CLUSTER_CA: instance.clusterCaPem,
    APPLICATIONS: formatIds(instance.applications),
    OPERATORS: formatIds(instance.operators),
    AUDITORS: formatIds(instance.auditors),
    DENIED: formatIds(instance.denied),
    ADMITTED_LEADS: admittedLeads === 'any' ? 'any' : formatIds(admittedLeads),
    AUDIT_PERIOD_DAYS: String(instance.auditPeriodDays),
    LOCAL_ENDPOINTS: String(instance.localEndpoints),
  };
  checkSize(environment, instance.file);
  return environment;
}

/**
 * Chosen here, and not by CloudFormation: people write it into their rules, and no stack has to wait
 * for the one that makes the bus. The instance's name keeps several in one account apart.
 */
export function eventBusNameOf({ name }: Pick<InstanceConfig, 'name'>): string {
  return `registry-${name}`;
}

function checkSize(environment: Environment, file: string): void {
  const bytes = Object.entries(environment)
    .map(([name, value]) => name.length + (Token.isUnresolved(value) ? TOKEN_BYTES : size(value)))
    .reduce((sum, each) => sum + each, 0);
  if (bytes > ENVIRONMENT_BYTES_MAX)
    throw new InstanceConfigError(
      `${file}: the settings take about ${bytes} bytes of environment, Lambda takes ` +
        `${ENVIRONMENT_BYTES_MAX}: shorten applications, operators, auditors, denied or ` +
        'admittedLeads, or give fewer certificates in clusterCa',
    );
}

/** As JSON, in which a line break counts twice: Lambda does not say how it counts. */
function size(value: string): number {
  return Buffer.byteLength(JSON.stringify(value));
}
