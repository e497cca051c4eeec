import { ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { CfnTrail } from 'aws-cdk-lib/aws-cloudtrail';
import { AnyPrincipal, Effect, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { LedgerTable } from './grants.ts';

export interface StorageTrailProps {
  readonly instanceName: string;
  readonly tables: readonly LedgerTable[];
  readonly objects: Bucket;
  /** As long as the logs of the functions. */
  readonly retentionDays: number;
}

/** The fields that an event must have to be written down. */
type Selected = readonly CfnTrail.AdvancedFieldSelectorProperty[];

/**
 * Who wrote to the table and the objects, and who changed a setting of the account. What disagrees
 * with its signature is found by the audit; by whom it was put there is written here alone.
 */
export class StorageTrail extends Construct {
  readonly bucketName: string;

  constructor(scope: Construct, id: string, props: StorageTrailProps) {
    super(scope, id);
    const { instanceName, tables, objects } = props;
    const trailName = `registry-${instanceName}`;
    const records = this.records(trailName, props.retentionDays);
    this.bucketName = records.bucketName;
    const trail = new CfnTrail(this, 'Trail', {
      trailName,
      isLogging: true,
      // Rights are changed in another region than the one that they are used in.
      isMultiRegionTrail: true,
      includeGlobalServiceEvents: true,
      enableLogFileValidation: true,
      s3BucketName: records.bucketName,
      advancedEventSelectors: [
        writes('Settings', [{ field: 'eventCategory', equalTo: ['Management'] }]),
        writes('Items', [
          { field: 'eventCategory', equalTo: ['Data'] },
          { field: 'resources.type', equalTo: ['AWS::DynamoDB::Table'] },
          { field: 'resources.ARN', equalTo: tables.map(({ tableArn }) => tableArn) },
        ]),
        writes('Objects', [
          { field: 'eventCategory', equalTo: ['Data'] },
          { field: 'resources.type', equalTo: ['AWS::S3::Object'] },
          { field: 'resources.ARN', startsWith: [objects.arnForObjects('')] },
        ]),
      ],
    });
    // It is refused while it may not write there.
    if (records.policy !== undefined) trail.node.addDependency(records.policy);
  }

  private records(trailName: string, retentionDays: number): Bucket {
    const bucket = new Bucket(this, 'Records', {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      // Under a key of the instance, who may switch that off could make the records unreadable.
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      versioned: true,
      lifecycleRules: [
        {
          expiration: Duration.days(retentionDays),
          noncurrentVersionExpiration: Duration.days(1),
          abortIncompleteMultipartUploadAfter: Duration.days(1),
        },
      ],
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    for (const statement of [...writtenBy(bucket, trailName), denyDeletion(bucket)])
      bucket.addToResourcePolicy(statement);
    bucket.policy?.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    acknowledge(
      bucket,
      'AwsSolutions-S1',
      'It is a log itself, which CloudTrail alone writes; a log of who reads it would go on for ever.',
    );
    return bucket;
  }
}

function writes(name: string, selected: Selected): CfnTrail.AdvancedEventSelectorProperty {
  return { name, fieldSelectors: [...selected, { field: 'readOnly', equalTo: ['false'] }] };
}

/** As CloudTrail asks for it, for this one trail. */
function writtenBy(bucket: Bucket, trailName: string): PolicyStatement[] {
  const stack = Stack.of(bucket);
  const trail = stack.formatArn({
    service: 'cloudtrail',
    resource: 'trail',
    resourceName: trailName,
    arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
  });
  const principals = [new ServicePrincipal('cloudtrail.amazonaws.com')];
  const ofTrail = { 'aws:SourceArn': trail };
  return [
    new PolicyStatement({
      principals,
      actions: ['s3:GetBucketAcl'],
      resources: [bucket.bucketArn],
      conditions: { StringEquals: ofTrail },
    }),
    new PolicyStatement({
      principals,
      actions: ['s3:PutObject'],
      resources: [bucket.arnForObjects(`AWSLogs/${stack.account}/*`)],
      conditions: {
        StringEquals: { ...ofTrail, 's3:x-amz-acl': 'bucket-owner-full-control' },
      },
    }),
  ];
}

/** Only their time ends them. */
function denyDeletion(bucket: Bucket): PolicyStatement {
  return new PolicyStatement({
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: ['s3:DeleteObject', 's3:DeleteObjectVersion'],
    resources: [bucket.arnForObjects('*')],
  });
}
