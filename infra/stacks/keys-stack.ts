import { ArnFormat, CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { CfnSecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { acknowledge } from '../constructs/acknowledge.ts';
import { alarmsOf } from '../constructs/alarms-of.ts';

export interface KeysStackProps extends StackProps {
  readonly instanceName: string;
  /** True wherever it matters whether the stack goes away by mistake. */
  readonly terminationProtection: boolean;
}

/**
 * What an instance's data is encrypted with, and the secret of who it is. Whoever loses a key here
 * loses what it encrypts, so nothing of this stack goes away with it.
 */
export class KeysStack extends Stack {
  /** Encrypts the table, the bucket, the secret and the backups. No service is named in its policy. */
  readonly stateKey: Key;
  /** Encrypts what passes: queues, logs and alarms, which services of AWS write by themselves. */
  readonly workKey: Key;
  readonly keySecretArn: string;

  constructor(scope: Construct, id: string, props: KeysStackProps) {
    super(scope, id, props);
    const { instanceName } = props;
    this.stateKey = this.key('State', `Table, objects, backups and secret of ${instanceName}`);
    this.workKey = this.key('Work', `Queues, logs and alarms of ${instanceName}`);
    this.workKey.addToResourcePolicy(this.logs(instanceName));
    this.workKey.addToResourcePolicy(this.alarms(instanceName));
    // Without a value: `registry key put` puts the key there, and no template ever holds it.
    const secret = new CfnSecret(this, 'Key', {
      description: `Private key and certificate of the registry instance ${instanceName}`,
      kmsKeyId: this.stateKey.keyArn,
    });
    secret.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    acknowledge(
      secret,
      'AwsSolutions-SMG4',
      'Another key is another identity, which every registry must agree to: people renew it.',
    );
    this.keySecretArn = secret.ref;
    new CfnOutput(this, 'KeySecret', {
      value: secret.ref,
      description: 'Put the key and the certificate here, with: registry key put',
    });
    new CfnOutput(this, 'StateKey', {
      value: this.stateKey.keyArn,
      description: 'A restored table has to be encrypted with this key',
    });
  }

  /** The default policy hands all decisions to IAM: nobody may use the key who is not granted it. */
  private key(id: string, description: string): Key {
    return new Key(this, id, {
      description,
      enableKeyRotation: true,
      // The longest time to notice that it was a mistake.
      pendingWindow: Duration.days(30),
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
  }

  /**
   * CloudWatch Logs encrypts by itself, whoever writes. Names of log groups end in characters that
   * CloudFormation chooses, so all those of the instance's own stacks are admitted.
   */
  private logs(instanceName: string): PolicyStatement {
    const groups = ['api', 'replication', 'events'].map((stack) =>
      this.formatArn({
        service: 'logs',
        resource: 'log-group',
        resourceName: `${instanceName}-${stack}-*`,
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      }),
    );
    return new PolicyStatement({
      principals: [new ServicePrincipal(`logs.${this.region}.amazonaws.com`)],
      actions: [
        'kms:Encrypt',
        'kms:Decrypt',
        'kms:ReEncryptFrom',
        'kms:ReEncryptTo',
        'kms:GenerateDataKey',
        'kms:GenerateDataKeyWithoutPlaintext',
        'kms:DescribeKey',
      ],
      // In a key's own policy this means that key.
      resources: ['*'],
      conditions: { ArnLike: { 'kms:EncryptionContext:aws:logs:arn': groups } },
    });
  }

  /** Without this an alarm changes its state and nobody hears of it, which is not told anywhere. */
  private alarms(instanceName: string): PolicyStatement {
    return new PolicyStatement({
      principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
      actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
      // In a key's own policy this means that key.
      resources: ['*'],
      conditions: alarmsOf(this, instanceName),
    });
  }
}
