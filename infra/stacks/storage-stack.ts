import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import {
  AttributeType,
  BillingMode,
  ProjectionType,
  StreamViewType,
  Table,
  TableEncryption,
} from 'aws-cdk-lib/aws-dynamodb';
import { AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type CfnBucket,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { listsIndex, tableKey } from '../../shared/config.ts';
import { acknowledge } from '../constructs/acknowledge.ts';
import type { LedgerTable } from '../constructs/grants.ts';
import { StorageTrail } from '../constructs/storage-trail.ts';
import { TableBackup } from '../constructs/table-backup.ts';
import type { InstanceConfig, ObjectLockConfig, RestoredTable } from '../instance-config.ts';
import type { KeysStack } from './keys-stack.ts';

export interface StorageStackProps extends StackProps {
  readonly instance: InstanceConfig;
  readonly keys: KeysStack;
  /** False leaves out backups and trail, which emulators do not have. */
  readonly guards: boolean;
  /** True wherever it matters whether the stack goes away by mistake. */
  readonly terminationProtection: boolean;
}

/** All state of an instance, and no behaviour. Removing the stack leaves everything where it is. */
export class StorageStack extends Stack {
  /** The ledger that the functions work on. */
  readonly table: LedgerTable;
  readonly bucket: Bucket;
  /** Absent where there are no backups. */
  readonly vaultName?: string;

  constructor(scope: Construct, id: string, props: StorageStackProps) {
    super(scope, id, props);
    const { instance, keys } = props;
    const ledger = this.ledger(keys);
    this.table =
      instance.restoredTable === undefined
        ? ledger
        : restored(this, ledger, { ...instance.restoredTable, key: keys.stateKey });
    this.bucket = this.objects(keys, instance.objectLock);
    if (!props.guards) return;
    const trail = new StorageTrail(this, 'Changes', {
      instanceName: instance.name,
      tables: this.table === ledger ? [ledger] : [this.table, ledger],
      objects: this.bucket,
      retentionDays: instance.logRetentionDays,
    });
    new CfnOutput(this, 'TrailBucket', {
      value: trail.bucketName,
      description: 'Who wrote to table and objects, and who changed settings, is written down here',
    });
    const backup = new TableBackup(this, 'Backup', {
      table: this.table,
      ...(this.table === ledger ? {} : { formerTable: ledger }),
      key: keys.stateKey,
      retention: Duration.days(instance.backupRetentionDays),
      lockMode: instance.objectLock.mode,
    });
    this.vaultName = backup.vaultName;
    new CfnOutput(this, 'BackupVault', {
      value: backup.vaultName,
      description: 'Backups of the table are here',
    });
    new CfnOutput(this, 'BackupRole', {
      value: backup.roleArn,
      description: 'With this role a backup of the table is made by hand',
    });
  }

  private ledger({ stateKey }: KeysStack): Table {
    const table = new Table(this, 'Ledger', {
      partitionKey: { name: tableKey.partition, type: AttributeType.STRING },
      sortKey: { name: tableKey.sort, type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      encryption: TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: stateKey,
      stream: StreamViewType.NEW_IMAGE,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: true,
      // Also where its creation is rolled back: the protection would make that fail. Its name is
      // CloudFormation's choice, so an empty one that was left stands in nobody's way.
      removalPolicy: RemovalPolicy.RETAIN,
    });
    // Everything that the items hold: what an index projects cannot be changed later.
    table.addGlobalSecondaryIndex({
      indexName: listsIndex.name,
      partitionKey: { name: listsIndex.partition, type: AttributeType.STRING },
      sortKey: { name: listsIndex.sort, type: AttributeType.STRING },
      projectionType: ProjectionType.ALL,
    });
    return table;
  }

  private objects({ stateKey }: KeysStack, objectLock: ObjectLockConfig): Bucket {
    const bucket = new Bucket(this, 'Objects', {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      encryption: BucketEncryption.KMS,
      encryptionKey: stateKey,
      // Without it S3 asks the key for each object, which costs more than storing a small one.
      bucketKeyEnabled: true,
      enforceSSL: true,
      versioned: true,
      objectLockEnabled: true,
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    lockObjects(bucket, objectLock);
    bucket.addToResourcePolicy(denyDeletion(bucket));
    bucket.addToResourcePolicy(denyReplacement(bucket));
    // It forbids what the lock does not, so it stays for as long as there are objects.
    bucket.policy?.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    acknowledge(
      bucket,
      'AwsSolutions-S1',
      'Such a log would hold presigned URLs with their signatures, which belong in no log. ' +
        'The trail of this stack tells who put what, without them.',
    );
    return bucket;
  }
}

/**
 * In place of the stack's own table, which stays as it is: it may hold what the backup lacks. The
 * values that it exported stay as well, or CloudFormation would refuse to update this stack before
 * those that import them.
 */
function restored(
  stack: Stack,
  ledger: Table,
  { arn, streamArn, key }: RestoredTable & { readonly key: IKey },
): LedgerTable {
  for (const value of [ledger.tableName, ledger.tableArn, ledger.tableStreamArn])
    stack.exportValue(value);
  return Table.fromTableAttributes(stack, 'Restored', {
    tableArn: arn,
    tableStreamArn: streamArn,
    encryptionKey: key,
  });
}

/** As CloudFormation takes it: the construct knows days only, and a year is not always 365 of them. */
function lockObjects(bucket: Bucket, { mode, duration }: ObjectLockConfig): void {
  const resource = bucket.node.defaultChild as CfnBucket;
  // Compliance mode cannot be undone by anybody: whoever wants that chooses it knowingly.
  resource.objectLockConfiguration = {
    objectLockEnabled: 'Enabled',
    rule: { defaultRetention: { mode: mode.toUpperCase(), ...duration } },
  };
}

/** Object lock keeps the versions but lets anybody hide them under a delete marker. */
function denyDeletion(bucket: Bucket): PolicyStatement {
  return new PolicyStatement({
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: ['s3:DeleteObject', 's3:DeleteObjectVersion'],
    resources: [bucket.arnForObjects('*')],
  });
}

/** Objects are put once: an upload that does not say `if-none-match` is refused. */
function denyReplacement(bucket: Bucket): PolicyStatement {
  return new PolicyStatement({
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: ['s3:PutObject'],
    resources: [bucket.arnForObjects('*')],
    conditions: {
      Null: { 's3:if-none-match': 'true' },
      Bool: { 's3:ObjectCreationOperation': 'true' },
    },
  });
}
