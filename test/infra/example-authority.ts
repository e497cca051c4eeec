import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The CA certificate of the example instances; nobody has its key. */
export const exampleAuthorityPem = readFileSync(
  join(import.meta.dirname, '..', '..', 'infra', 'instances', 'cluster-ca.pem'),
  'utf8',
);
