import { RemovalPolicy } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';

/** How all logs of an instance are kept. */
export interface LogSettings {
  /** One of the numbers of days that CloudWatch knows. */
  readonly retentionDays: number;
  readonly key: IKey;
}

/** A log that outlives its stack: what went wrong before a removal is still to be read. */
export function registryLog(scope: Construct, id: string, settings: LogSettings): LogGroup {
  return new LogGroup(scope, id, {
    retention: settings.retentionDays,
    encryptionKey: settings.key,
    removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
  });
}
