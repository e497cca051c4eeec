import { Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import {
  AttributeType,
  BillingMode,
  ProjectionType,
  StreamViewType,
  Table,
} from 'aws-cdk-lib/aws-dynamodb';
import { AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  ObjectLockRetention,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3';
import { CfnSecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { listsIndex, tableKey } from '../../shared/config.ts';
import type { LedgerTable } from '../constructs/grants.ts';
import type { RestoredTable } from '../instance-config.ts';

export interface StorageStackProps extends StackProps {
  readonly instanceName: string;
  /** What the functions work on instead, after a restore. */
  readonly restoredTable?: RestoredTable;
}

/** Ten years: as long as the records of a building are commonly kept. */
const OBJECT_RETENTION = Duration.days(3650);

/** All state of an instance, and no behaviour. Removing the stack leaves everything where it is. */
export class StorageStack extends Stack {
  /** The ledger that the functions work on. */
  readonly table: LedgerTable;
  readonly bucket: Bucket;
  readonly keySecretArn: string;

  constructor(scope: Construct, id: string, props: StorageStackProps) {
    super(scope, id, { ...props, terminationProtection: true });
    const ledger = new Table(this, 'Ledger', {
      partitionKey: { name: tableKey.partition, type: AttributeType.STRING },
      sortKey: { name: tableKey.sort, type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      stream: StreamViewType.NEW_IMAGE,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    // Everything that the items hold: what an index projects cannot be changed later.
    ledger.addGlobalSecondaryIndex({
      indexName: listsIndex.name,
      partitionKey: { name: listsIndex.partition, type: AttributeType.STRING },
      sortKey: { name: listsIndex.sort, type: AttributeType.STRING },
      projectionType: ProjectionType.ALL,
    });
    this.table =
      props.restoredTable === undefined ? ledger : restored(this, ledger, props.restoredTable);
    this.bucket = new Bucket(this, 'Objects', {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      versioned: true,
      objectLockEnabled: true,
      // Compliance mode cannot be undone by anybody: whoever wants that chooses it knowingly.
      objectLockDefaultRetention: ObjectLockRetention.governance(OBJECT_RETENTION),
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.bucket.addToResourcePolicy(denyDeletion(this.bucket));
    this.bucket.addToResourcePolicy(denyReplacement(this.bucket));
    // Without a value: the operator puts the key there, and no template ever holds it.
    const secret = new CfnSecret(this, 'Key', {
      description: `Private key and certificate of the registry instance ${props.instanceName}`,
    });
    secret.applyRemovalPolicy(RemovalPolicy.RETAIN);
    this.keySecretArn = secret.ref;
  }
}

/**
 * In place of the stack's own table, which stays as it is: it may hold what the backup lacks. The
 * values that it exported stay as well, or CloudFormation would refuse to update this stack before
 * those that import them.
 */
function restored(stack: Stack, ledger: Table, { arn, streamArn }: RestoredTable): LedgerTable {
  for (const value of [ledger.tableName, ledger.tableArn, ledger.tableStreamArn])
    stack.exportValue(value);
  return Table.fromTableAttributes(stack, 'Restored', { tableArn: arn, tableStreamArn: streamArn });
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
