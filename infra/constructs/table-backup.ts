import { createHash } from 'node:crypto';
import { ArnFormat, Duration, RemovalPolicy, type Stack, Token } from 'aws-cdk-lib';
import {
  BackupPlan,
  BackupPlanRule,
  BackupResource,
  BackupVault,
  type LockConfiguration,
} from 'aws-cdk-lib/aws-backup';
import { Schedule } from 'aws-cdk-lib/aws-events';
import { Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import type { ObjectLockMode } from '../instance-config.ts';
import { acknowledge } from './acknowledge.ts';
import type { LedgerTable } from './grants.ts';

export interface TableBackupProps {
  readonly table: LedgerTable;
  /** Of which the vault may still hold backups that have to go in their time. */
  readonly formerTable?: LedgerTable;
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
  readonly roleArn: string;

  constructor(scope: Construct, id: string, props: TableBackupProps) {
    super(scope, id);
    const { table, formerTable, key, retention, lockMode } = props;
    const lock: LockConfiguration = {
      minRetention: retention,
      ...(lockMode === 'compliance' ? { changeableFor: COMPLIANCE_BEGINS_AFTER } : {}),
    };
    const vault = new BackupVault(this, 'Vault', {
      encryptionKey: key,
      blockRecoveryPointDeletion: true,
      lockConfiguration: lock,
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
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
    const tables = formerTable === undefined ? [table] : [table, formerTable];
    const role = backupRole(this, tables, vault, key);
    this.roleArn = role.roleArn;
    const selection = plan.addSelection('Table', {
      backupSelectionName: selectionName(table),
      resources: [BackupResource.fromArn(table.tableArn)],
      role,
      disableDefaultBackupPolicy: true,
    });
    // What the role may do is a resource of its own, without which the first backup fails.
    selection.node.addDependency(role);
  }
}

/** Another table is another selection, which is made before the former one goes: under another name. */
function selectionName({ tableArn }: LedgerTable): string {
  if (Token.isUnresolved(tableArn)) return 'Table';
  return `Table-${createHash('sha256').update(tableArn).digest('hex').slice(0, 16)}`;
}

/**
 * In place of AWS's own policy for backups, which allows them of everything in the account. It
 * outlives the stack, for the vault deletes what has had its time with the role that made it.
 */
function backupRole(
  scope: Construct,
  tables: readonly LedgerTable[],
  vault: BackupVault,
  key: IKey,
): Role {
  const role = new Role(scope, 'Role', { assumedBy: new ServicePrincipal('backup.amazonaws.com') });
  const allow = (actions: string[], resources: string[], conditions = {}) =>
    role.addToPolicy(new PolicyStatement({ actions, resources, conditions }));
  const backups = tables.map(({ tableArn }) => `${tableArn}/backup/*`);
  const recoveryPoints = vault.stack.formatArn({
    service: 'backup',
    resource: 'recovery-point',
    resourceName: '*',
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  allow(
    [
      'dynamodb:CreateBackup',
      'dynamodb:DescribeTable',
      'dynamodb:ListTagsOfResource',
      'dynamodb:StartAwsBackupJob',
    ],
    tables.map(({ tableArn }) => tableArn),
  );
  // A backup is named by DynamoDB. It may be deleted by who made it, when its time in the vault ends.
  allow(['dynamodb:DescribeBackup', 'dynamodb:DeleteBackup'], backups);
  allow(['backup:DescribeBackupVault', 'backup:CopyIntoBackupVault'], [vault.backupVaultArn]);
  // The table's tags go with each backup: without this right none is made of a table that has some.
  allow(['backup:TagResource'], [recoveryPoints]);
  allow(['kms:DescribeKey'], [key.keyArn]);
  allow(['kms:Decrypt', 'kms:GenerateDataKey'], [key.keyArn], {
    StringEquals: { 'kms:ViaService': `dynamodb.${vault.stack.region}.amazonaws.com` },
  });
  allow(['kms:CreateGrant'], [key.keyArn], { Bool: { 'kms:GrantIsForAWSResource': 'true' } });
  for (const backup of backups)
    acknowledge(
      role,
      `AwsSolutions-IAM5[Resource::${shown(vault.stack, backup)}]`,
      'Backups of this one table: DynamoDB chooses their names when it makes them.',
    );
  acknowledge(
    role,
    `AwsSolutions-IAM5[Resource::${shown(vault.stack, recoveryPoints)}]`,
    'To tag recovery points, and nothing else of them: AWS Backup chooses their names.',
  );
  role.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
  for (const policy of role.node.children)
    if (policy instanceof Policy)
      policy.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
  return role;
}

/** A text as cdk-nag shows it: what CloudFormation will put there in angle brackets. */
function shown(stack: Stack, text: string): string {
  const resolved: unknown = stack.resolve(text);
  if (typeof resolved === 'string') return resolved;
  const parts: readonly unknown[] = Object(resolved)['Fn::Join'][1];
  return parts
    .map((part) =>
      typeof part === 'string' ? part : `<${Object.values(Object(part)).flat().join('.')}>`,
    )
    .join('');
}
