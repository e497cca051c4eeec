/** Transactions of every type that pass their schema, in a space small enough for ids to meet. */
import fc from 'fast-check';
import { encodeCanonical } from '../../shared/ledger/canonical.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { testUuid } from '../builders.ts';

const digests = fc.nat(5).map((n) => digestOf(`digest ${n}`));
const peers = fc.uniqueArray(digests, { minLength: 1, maxLength: 4 });
const links = fc.record({ digest: digests, sequence: fc.integer({ min: 1, max: 9 }) });
const documentIds = fc.constantFrom('plan-1', 'plan-2', 'Plan:3._-');
const versions = fc.oneof(
  fc.constantFrom(1, 1, 2, 3),
  fc.maxSafeNat().map((n) => n + (n === 0 ? 1 : 0)),
);
const format = fc.constant('registry/transaction/v1');
const transactionId = fc.nat(40).map(testUuid);
const supersedes = fc.option(links, { nil: undefined, freq: 6 });

const create = fc.record({
  format,
  transactionId,
  type: fc.constant('create-registry'),
  detailsDigest: digests,
  peers,
});

const reconfigure = fc.record({
  format,
  transactionId,
  supersedes,
  type: fc.constant('reconfigure-peers'),
  peers,
});

const upload = fc.record({
  format,
  transactionId,
  supersedes,
  type: fc.constant('upload-document'),
  contentDigest: digests,
  detailsDigest: digests,
  documentId: documentIds,
  mediaType: fc.constantFrom('application/pdf', 'text/plain; charset=utf-8'),
  size: fc.nat(),
  version: versions,
});

const request = fc.record({
  format,
  transactionId,
  supersedes,
  type: fc.constant('request-signature'),
  detailsDigest: digests,
  documentId: documentIds,
  publicKey: fc.constant({ crv: 'Ed25519', kty: 'OKP', x: 'AQID' }),
  purpose: fc.constantFrom('approval', 'origin', 'receipt', 'creation'),
  requestId: transactionId,
  version: versions,
});

const sign = fc.record({
  format,
  transactionId,
  supersedes,
  type: fc.constant('sign-document'),
  requestId: transactionId,
  signature: fc.constant({ protected: 'AQID', signature: 'BAUG' }),
});

/** Canonical bytes. */
export const transactions = fc
  .oneof(create, reconfigure, { arbitrary: upload, weight: 4 }, request, sign)
  .map((members) =>
    encodeCanonical(
      Object.fromEntries(Object.entries(members).filter(([, member]) => member !== undefined)),
    ),
  );
