import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  DomainName,
  HttpApi,
  HttpMethod,
  HttpNoneAuthorizer,
  HttpStage,
  LogGroupLogDestination,
  PayloadFormatVersion,
  SecurityPolicy,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { ARecord, HostedZone, RecordTarget } from 'aws-cdk-lib/aws-route53';
import { ApiGatewayv2DomainProperties } from 'aws-cdk-lib/aws-route53-targets';
import type { Construct } from 'constructs';
import { acknowledge } from '../constructs/acknowledge.ts';
import {
  grantDocumentReads,
  grantDocumentWrites,
  grantEvidence,
  grantKey,
  grantListReads,
  grantPokes,
  grantRedaction,
  grantTableAndDenials,
  grantTableReads,
  grantTableWrites,
} from '../constructs/grants.ts';
import { API_TIMEOUT, registryFunction } from '../constructs/registry-function.ts';
import { type LogSettings, registryLog } from '../constructs/registry-log.ts';
import { truststore } from '../constructs/truststore.ts';
import type { DomainConfig, InstanceConfig } from '../instance-config.ts';
import type { KeysStack } from './keys-stack.ts';
import type { ReplicationStack } from './replication-stack.ts';
import type { StorageStack } from './storage-stack.ts';

export interface ApiStackProps extends StackProps {
  readonly instance: InstanceConfig;
  readonly keys: KeysStack;
  readonly storage: StorageStack;
  readonly replication: ReplicationStack;
  /** Absent: no custom domain, and so no way in but an emulator's. */
  readonly domain?: DomainConfig;
  readonly logs: LogSettings;
  readonly bundle: boolean;
}

/** Never the query string: it may hold what only the caller may know. */
const ACCESS_LOG_FORMAT = AccessLogFormat.custom(
  JSON.stringify({
    requestId: '$context.requestId',
    time: '$context.requestTime',
    routeKey: '$context.routeKey',
    path: '$context.path',
    status: '$context.status',
    responseBytes: '$context.responseLength',
    latencyMs: '$context.responseLatency',
    sourceIp: '$context.identity.sourceIp',
    certificateSerialNumber: '$context.identity.clientCert.serialNumber',
    error: '$context.error.message',
  }),
);

/** The way in: an HTTP API that speaks mutual TLS only, for applications, people and peers. */
export class ApiStack extends Stack {
  readonly functions: readonly LambdaFunction[];
  readonly httpApi: HttpApi;

  constructor(scope: Construct, id: string, props: ApiStackProps) {
    super(scope, id, props);
    const api = this.apiFunction('Api', 'api', props);
    const peerApi = this.apiFunction('PeerApi', 'peer-api', props);
    this.functions = [api, peerApi];
    grantTableAndDenials(api, props.storage.table);
    grantDocumentWrites(api, props.storage.bucket);
    grantListReads(api, props.storage.table);
    grantRedaction(api, props.storage.table);
    grantTableWrites(peerApi, props.storage.table);
    grantDocumentReads(peerApi, props.storage.bucket);
    // Who spoke is asked to come again; what an application recorded the stream tells.
    grantPokes(peerApi, [props.replication.delivery.queue]);

    this.httpApi = new HttpApi(this, 'HttpApi', {
      apiName: `registry-${props.instance.name}`,
      // Through it anybody could come without a certificate.
      disableExecuteApiEndpoint: true,
      createDefaultStage: false,
      // Who the caller is the functions read from the certificate that the connection proved.
      defaultAuthorizer: new HttpNoneAuthorizer(),
      defaultIntegration: integration('ApiIntegration', api),
    });
    this.httpApi.addRoutes({
      path: '/v1/peer/{proxy+}',
      methods: [HttpMethod.ANY],
      integration: integration('PeerApiIntegration', peerApi),
    });
    acknowledge(
      this.httpApi,
      'AwsSolutions-APIG4',
      'Mutual TLS proves who calls; what the caller may do the functions decide, by certificate id.',
    );
    this.stage(props, props.domain === undefined ? undefined : this.customDomain(props));
  }

  private apiFunction(id: string, name: string, props: ApiStackProps): LambdaFunction {
    const { instance, keys, storage, replication, logs, bundle } = props;
    const { apiConcurrency } = instance.limits;
    const made = registryFunction(this, id, {
      name,
      environment: replication.functionEnvironment,
      timeout: API_TIMEOUT,
      ...(apiConcurrency === undefined ? {} : { reservedConcurrency: apiConcurrency }),
      logs,
      bundle,
    });
    grantTableReads(made, storage.table);
    grantEvidence(made, storage.bucket);
    grantKey(made, keys);
    return made;
  }

  private stage({ instance, logs }: ApiStackProps, domainName: DomainName | undefined): void {
    const { requestsPerSecond, requestsBurst } = instance.limits;
    new HttpStage(this, 'Stage', {
      httpApi: this.httpApi,
      stageName: '$default',
      autoDeploy: true,
      accessLogSettings: {
        destination: new LogGroupLogDestination(registryLog(this, 'AccessLog', logs)),
        format: ACCESS_LOG_FORMAT,
      },
      throttle: { rateLimit: requestsPerSecond, burstLimit: requestsBurst },
      ...(domainName === undefined ? {} : { domainMapping: { domainName } }),
    });
  }

  private customDomain({ domain, instance }: ApiStackProps): DomainName | undefined {
    if (domain === undefined) return undefined;
    const domainName = new DomainName(this, 'Domain', {
      domainName: domain.name,
      certificate: Certificate.fromCertificateArn(this, 'Server', domain.serverCertificateArn),
      ownershipCertificate: Certificate.fromCertificateArn(
        this,
        'Ownership',
        domain.ownershipCertificateArn,
      ),
      securityPolicy: SecurityPolicy.TLS_1_2,
      mtls: truststore(this, 'Truststore', instance.clusterCaPem),
    });
    const target = domainName.regionalDomainName;
    if (domain.hostedZone === undefined) {
      new CfnOutput(this, 'DomainTarget', {
        value: target,
        description: `Point a CNAME record for ${domain.name} here`,
      });
      return domainName;
    }
    new ARecord(this, 'Alias', {
      zone: HostedZone.fromHostedZoneAttributes(this, 'Zone', {
        hostedZoneId: domain.hostedZone.id,
        zoneName: domain.hostedZone.name,
      }),
      recordName: `${domain.name}.`,
      target: RecordTarget.fromAlias(
        new ApiGatewayv2DomainProperties(target, domainName.regionalHostedZoneId),
      ),
    });
    return domainName;
  }
}

function integration(id: string, handler: LambdaFunction): HttpLambdaIntegration {
  return new HttpLambdaIntegration(id, handler, {
    payloadFormatVersion: PayloadFormatVersion.VERSION_2_0,
  });
}
