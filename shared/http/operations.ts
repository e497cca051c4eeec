/** Every operation that applications, operators and auditors can call, by operationId. */
import { conflictOperations } from './operations-conflicts.ts';
import { denialOperations } from './operations-denials.ts';
import { documentOperations } from './operations-documents.ts';
import { entryOperations } from './operations-entries.ts';
import { instanceOperations } from './operations-instance.ts';
import { registryOperations } from './operations-registries.ts';
import { signatureOperations } from './operations-signatures.ts';

/** To add one: describe it in the file of its topic, and give it a handler in functions/api.ts. */
export const operations = {
  ...instanceOperations,
  ...denialOperations,
  ...registryOperations,
  ...entryOperations,
  ...documentOperations,
  ...signatureOperations,
  ...conflictOperations,
};
