import { ArnFormat, type Stack } from 'aws-cdk-lib';

/**
 * The conditions under which CloudWatch acts for alarms of this instance, and for no others.
 *
 * Alarms are named by CloudFormation: after their stack, with characters that it chooses.
 */
export function alarmsOf(stack: Stack, instanceName: string): Record<string, object> {
  const alarms = stack.formatArn({
    service: 'cloudwatch',
    resource: 'alarm',
    resourceName: `${instanceName}-alarms-*`,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  return {
    StringEquals: { 'aws:SourceAccount': stack.account },
    ArnLike: { 'aws:SourceArn': alarms },
  };
}
