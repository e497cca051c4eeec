import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MTLSConfig } from 'aws-cdk-lib/aws-apigatewayv2';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import type { Construct } from 'constructs';

/**
 * The CAs that a caller's certificate must chain to, as an object for API Gateway.
 *
 * The object's key is the digest of its content: under a key that stays the same, API Gateway
 * would never notice another content.
 */
export function truststore(scope: Construct, id: string, clusterCaPem: string): MTLSConfig {
  const directory = mkdtempSync(join(tmpdir(), 'truststore-'));
  try {
    const path = join(directory, 'cluster-ca.pem');
    writeFileSync(path, clusterCaPem);
    // The asset copies the file at once, so the folder may go.
    const asset = new Asset(scope, id, { path });
    return { bucket: asset.bucket, key: asset.s3ObjectKey };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
