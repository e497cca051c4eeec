/** What the resources of the templates are called on this machine. */
import type { Attributes, Resource } from './template.ts';

export interface Place {
  readonly instance: string;
  readonly region: string;
  readonly account: string;
  readonly queueUrlOf: (queueName: string) => string;
}

/** Names are made from the instance and the logical id, so that they are the same at each start. */
export function attributesOf(resource: Resource, place: Place): Attributes | undefined {
  const name = `${place.instance}-${resource.logicalId}`;
  const arn = (service: string, rest: string) =>
    `arn:aws:${service}:${place.region}:${place.account}:${rest}`;
  switch (resource.type) {
    case 'AWS::DynamoDB::Table':
      return {
        Ref: name,
        Arn: arn('dynamodb', `table/${name}`),
        StreamArn: arn('dynamodb', `table/${name}/stream/local`),
      };
    case 'AWS::SQS::Queue': {
      const fifo = resource.properties['FifoQueue'] === true;
      const queueName = fifo ? `${name}.fifo` : name;
      return { Ref: place.queueUrlOf(queueName), Arn: arn('sqs', queueName), QueueName: queueName };
    }
    case 'AWS::S3::Bucket':
      return { Ref: name.toLowerCase(), Arn: `arn:aws:s3:::${name.toLowerCase()}` };
    case 'AWS::SecretsManager::Secret':
      return { Ref: arn('secretsmanager', `secret:${name}`) };
    case 'AWS::Events::EventBus': {
      const busName = String(resource.properties['Name']);
      return { Ref: busName, Arn: arn('events', `event-bus/${busName}`) };
    }
    case 'AWS::Lambda::Function':
      return { Ref: name, Arn: arn('lambda', `function:${name}`) };
    case 'AWS::IAM::Role':
      return { Ref: name, Arn: `arn:aws:iam::${place.account}:role/${name}` };
    case 'AWS::KMS::Key':
      return { Ref: name, Arn: arn('kms', `key/${name}`) };
    case 'AWS::Logs::LogGroup':
      return { Ref: name, Arn: arn('logs', `log-group:${name}:*`) };
    case 'AWS::ApiGatewayV2::Integration':
      return { Ref: resource.logicalId };
    default:
      return undefined;
  }
}
