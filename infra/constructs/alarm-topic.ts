import { Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { SubscriptionProtocol, Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription, UrlSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import type { InstanceConfig } from '../instance-config.ts';
import { alarmsOf } from './alarms-of.ts';

/**
 * Where alarms go, and from there to everybody whom the instance's file names. Each address has to
 * confirm once: until then it gets nothing.
 */
export function alarmTopic(
  scope: Construct,
  id: string,
  { name, alarmEmails, alarmWebhooks }: InstanceConfig,
  key: IKey,
): Topic {
  const topic = new Topic(scope, id, {
    displayName: `Registry ${name}`,
    masterKey: key,
    enforceSSL: true,
  });
  // Its own policy takes the place of the one that lets the whole account publish.
  topic.addToResourcePolicy(
    new PolicyStatement({
      principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
      actions: ['sns:Publish'],
      resources: [topic.topicArn],
      conditions: alarmsOf(Stack.of(scope), name),
    }),
  );
  for (const address of alarmEmails) topic.addSubscription(new EmailSubscription(address));
  for (const address of alarmWebhooks)
    topic.addSubscription(new UrlSubscription(address, { protocol: SubscriptionProtocol.HTTPS }));
  return topic;
}
