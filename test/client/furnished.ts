/** A registry in which there is something to read. */
import { type TestSigner, testSigner } from '../signing.ts';
import { document, type Registry, registry } from './clients.ts';

export interface Furnished extends Registry {
  readonly signer: TestSigner;
  /** Of the request about version 1 of A, which is signed. */
  readonly requestId: string;
  /** Of the request about B, which is not. */
  readonly openId: string;
}

/** Versions 1 and 2 of A, version 1 of B, a request for each, and a signature: entries 2 to 7. */
export async function furnished(): Promise<Furnished> {
  const held = await registry();
  const { client, registryId } = held;
  const signer = testSigner('ES256');
  await client.uploadDocument(registryId, { ...document('A'), note: 'Los 1' });
  await client.uploadDocument(registryId, document('A', Buffer.from('A, better')));
  await client.uploadDocument(registryId, document('B'));
  const asked = {
    version: 1,
    publicKey: signer.publicKey,
    purpose: 'approval',
    signer: 'Prüfingenieurin Dr. Weiß',
    dueAt: new Date('2100-01-31T12:00:00Z'),
  } as const;
  const { requestId } = await client.requestSignature(registryId, { documentId: 'A', ...asked });
  const open = await client.requestSignature(registryId, { documentId: 'B', ...asked });
  await client.signWithKey(registryId, requestId, signer.key);
  return { ...held, signer, requestId, openId: open.requestId };
}
