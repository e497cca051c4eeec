/** A dishonest lead: whoever has its key can sign whatever they like. */
import { readFileSync } from 'node:fs';
import { createInstanceSigner } from '../../../shared/adapters/instance-signer.ts';
import { PeerHttps } from '../../../shared/adapters/peer-https.ts';
import type { Link } from '../../../shared/ledger/backlinks.ts';
import { nextEntry } from '../../../shared/ledger/chain.ts';
import { checkpointOf } from '../../../shared/ledger/checkpoint.ts';
import type { CertificateId, RegistryId, Sequence } from '../../../shared/ledger/digest.ts';
import { encodeTransaction, readTransaction } from '../../../shared/ledger/transaction.ts';
import { commitWrite } from '../../../shared/registry/commit.ts';
import { type CarriedCommit, encodeMessage } from '../../../shared/registry/messages.ts';
import type { PeerAnswer } from '../../../shared/registry/peer-transport.ts';
import type { CommitWrite, Head, Signer } from '../../../shared/registry/ports.ts';
import type { Member } from '../members.ts';
import type { Drilled } from './drilled.ts';

export interface Forged {
  /** As it travels between instances. */
  readonly carried: CarriedCommit;
  /** As the lead's own process would write it. */
  readonly write: CommitWrite;
}

/** What is to stand in the entry, right or wrong. */
export interface ForgedUpload {
  readonly name: string;
  /** The entry of the version before. */
  readonly subject: Link;
  readonly members: Readonly<Record<string, unknown>>;
}

interface Secret {
  readonly privateKeyPem: string;
  readonly certificatePem: string;
  readonly formerIds: readonly string[];
}

const ANSWER_MS = 20_000;

/** Holds the key and the certificate of one instance. */
export class Forger {
  readonly #secret: Secret;
  readonly #clusterCaPem: string;
  readonly #signer: Signer;

  constructor({ instance }: Member) {
    this.#secret = JSON.parse(readFileSync(instance.keyFile, 'utf8'));
    this.#clusterCaPem = instance.settings.clusterCa;
    this.#signer = createInstanceSigner(this.#secret);
  }

  /** A commit of one upload on top of that head, with a right signature; no rule is asked. */
  forge(head: Head, { name, subject, members }: ForgedUpload): Forged {
    const transactionId = crypto.randomUUID();
    const encoded = encodeTransaction(
      { ...members, type: 'upload-document', transactionId },
      { name, salt: transactionId.replaceAll('-', '') },
    );
    const transaction = readTransaction(encoded.transaction);
    if (transaction.outcome === 'refused') throw new Error(transaction.detail);
    const placement = {
      transaction: transaction.transaction,
      transactionDigest: transaction.digest,
      resolves: [],
      subject,
    };
    const now = new Date().toISOString();
    const read = nextEntry(head, placement, now);
    const { registryId, copy, tableId } = head;
    const { certificateId: signer, knownIds: self } = this.#signer;
    const { digest } = read;
    const sequence = (head.sequence + 1) as Sequence;
    const checkpoint = this.#signer.sign(
      checkpointOf({ registryId, sequence, digest, signer, copy, issuedAt: now }),
    );
    const details = encoded.details ?? Buffer.alloc(0);
    const staged = { read, transaction, details, changes: [] };
    const entry = {
      entry: Buffer.from(read.bytes).toString(),
      transaction: encoded.transaction.toString(),
      details: details.toString(),
    };
    return {
      carried: { checkpoint, entries: [entry] },
      write: commitWrite({ registryId, before: head, self, tableId }, [staged], checkpoint),
    };
  }

  /** Delivers it as the lead would: over mutual TLS, with the lead's certificate. */
  async deliver(registryId: RegistryId, to: Member, commit: CarriedCommit): Promise<PeerAnswer> {
    const transport = new PeerHttps({
      keyPem: this.#secret.privateKeyPem,
      certificatePem: this.#secret.certificatePem,
      clusterCaPem: this.#clusterCaPem,
      localEndpoints: true,
      certificateOf: async () => to.certificatePem,
      timeoutMs: ANSWER_MS,
    });
    try {
      return await transport.call(to.certificateId as CertificateId, {
        operation: 'deliver',
        registryId,
        body: encodeMessage({ format: 'registry/delivery/v1', registryId, commits: [commit] }),
      });
    } finally {
      transport.close();
    }
  }
}

/** The bytes of the first version once more, as that version. */
export async function versionAgain(
  drilled: Drilled,
  documentId: string,
  version: number,
): Promise<ForgedUpload> {
  const { unverified } = drilled.application('architect');
  const first = await unverified.version(drilled.registryId, documentId, 1);
  const { entry: subject, mediaType, size, contentDigest } = first;
  return {
    name: documentId,
    subject,
    members: { documentId, version, mediaType, size, contentDigest },
  };
}
