import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import {
  BackupPlan,
  BackupPlanRule,
  BackupResource,
  BackupVault,
  type LockConfiguration,
} from 'aws-cdk-lib/aws-backup';
import type { Table } from 'aws-cdk-lib/aws-dynamodb';
import { Schedule } from 'aws-cdk-lib/aws-events';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import type { ObjectLockMode } from '../instance-config.ts';
import { acknowledge } from './acknowledge.ts';

export interface TableBackupProps {
  readonly table: Table;
  readonly key: IKey;
  readonly retention: Duration;
  /** Compliance: after three days nobody can open the vault's lock any more. */
  readonly lockMode: ObjectLockMode;
}

/** So long CloudFormation's user may still change his mind: the least that AWS Backup takes. */
const COMPLIANCE_BEGINS_AFTER = Duration.days(3);

/**
 * A backup of the table every week, in a vault of its own. Point-in-time recovery ends with the
 * table, and with 35 days; this does not. Each backup is a whole copy, which is paid for: hence weekly.
 */
export class TableBackup extends Construct {
  readonly vaultName: string;

  constructor(scope: Construct, id: string, props: TableBackupProps) {
    super(scope, id);
    const { table, key, retention, lockMode } = props;
    const lock: LockConfiguration = {
      minRetention: retention,
      ...(lockMode === 'compliance' ? { changeableFor: COMPLIANCE_BEGINS_AFTER } : {}),
    };
    const vault = new BackupVault(this, 'Vault', {
      encryptionKey: key,
      blockRecoveryPointDeletion: true,
      lockConfiguration: lock,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.vaultName = vault.backupVaultName;
    const plan = new BackupPlan(this, 'Plan', {
      backupVault: vault,
      backupPlanRules: [
        new BackupPlanRule({
          ruleName: 'weekly',
          scheduleExpression: Schedule.cron({ weekDay: 'SUN', hour: '3', minute: '0' }),
          startWindow: Duration.hours(1),
          completionWindow: Duration.hours(12),
          deleteAfter: retention,
        }),
      ],
    });
    const role = backupRole(this, table, vault, key);
    const selection = plan.addSelection('Table', {
      resources: [BackupResource.fromArn(table.tableArn)],
      role,
      disableDefaultBackupPolicy: true,
    });
    // What the role may do is a resource of its own, without which the first backup fails.
    selection.node.addDependency(role);
  }
}

/** In place of AWS's own policy for backups, which allows them of everything in the account. */
function backupRole(scope: Construct, table: Table, vault: BackupVault, key: IKey): Role {
  const role = new Role(scope, 'Role', { assumedBy: new ServicePrincipal('backup.amazonaws.com') });
  const allow = (actions: string[], resources: string[], conditions = {}) =>
    role.addToPolicy(new PolicyStatement({ actions, resources, conditions }));
  allow(
    [
      'dynamodb:CreateBackup',
      'dynamodb:DescribeTable',
      'dynamodb:ListTagsOfResource',
      'dynamodb:StartAwsBackupJob',
    ],
    [table.tableArn],
  );
  // A backup is named by DynamoDB. It may be deleted by who made it, when its time in the vault ends.
  allow(['dynamodb:DescribeBackup', 'dynamodb:DeleteBackup'], [`${table.tableArn}/backup/*`]);
  allow(['backup:DescribeBackupVault', 'backup:CopyIntoBackupVault'], [vault.backupVaultArn]);
  allow(['kms:Decrypt', 'kms:DescribeKey', 'kms:GenerateDataKey'], [key.keyArn]);
  allow(['kms:CreateGrant'], [key.keyArn], { Bool: { 'kms:GrantIsForAWSResource': 'true' } });
  const { stack } = table;
  const { 'Fn::GetAtt': place } = stack.resolve(table.tableArn);
  acknowledge(
    role,
    `AwsSolutions-IAM5[Resource::<${place.join('.')}>/backup/*]`,
    'Backups of this one table: DynamoDB chooses their names when it makes them.',
  );
  return role;
}
