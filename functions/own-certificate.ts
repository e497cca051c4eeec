import type { OpenInstance } from '../shared/adapters/aws/instance.ts';

/**
 * Keeps the instance's own certificate in its table, once a process. After a renewal with a new key
 * nobody has the former one otherwise, and a receipt about what the former key signed needs it.
 */
export function keepingOwnCertificate(open: OpenInstance): OpenInstance {
  let kept: string | undefined;
  return async () => {
    const instance = await open();
    const { store, signer, certificatePem } = instance;
    if (kept === certificatePem) return instance;
    await store.putCertificate(signer.certificateId, certificatePem);
    kept = certificatePem;
    return instance;
  };
}
