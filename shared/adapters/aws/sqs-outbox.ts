import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { encodeCanonical } from '../../ledger/canonical.ts';
import { type CertificateId, digestOf, type RegistryId } from '../../ledger/digest.ts';
import type { Outbox } from '../../registry/ports.ts';

export interface SqsOutboxOptions {
  readonly client: SQSClient;
  /** Both queues are FIFO. */
  readonly deliveryQueueUrl: string;
  readonly fetchQueueUrl: string;
}

/**
 * Pokes as messages of two FIFO queues, with the body {registryId, peer} or {registryId} in
 * canonical JSON. SQS merges those that have a deduplication id in common for five minutes, so the
 * token is part of it.
 */
export class SqsOutbox implements Outbox {
  readonly #client: SQSClient;
  readonly #deliveryQueueUrl: string;
  readonly #fetchQueueUrl: string;

  constructor({ client, deliveryQueueUrl, fetchQueueUrl }: SqsOutboxOptions) {
    this.#client = client;
    this.#deliveryQueueUrl = deliveryQueueUrl;
    this.#fetchQueueUrl = fetchQueueUrl;
  }

  /**
   * One group for each registry and peer, so that none waits for another. The two ids stand side by
   * side: each has 64 characters, and a group id of SQS has at most 128.
   */
  async pokeDelivery(registryId: RegistryId, peer: CertificateId, token: string): Promise<void> {
    const group = `${registryId}${peer}`;
    await this.#send(this.#deliveryQueueUrl, { group, token, body: { registryId, peer } });
  }

  /** One group for each registry. */
  async pokeFetch(registryId: RegistryId, token: string): Promise<void> {
    await this.#send(this.#fetchQueueUrl, { group: registryId, token, body: { registryId } });
  }

  async #send(queueUrl: string, { group, token, body }: Message): Promise<void> {
    const command = new SendMessageCommand({
      QueueUrl: queueUrl,
      MessageGroupId: group,
      MessageDeduplicationId: digestOf(encodeCanonical({ group, token })),
      MessageBody: encodeCanonical(body).toString(),
    });
    await this.#client.send(command);
  }
}

interface Message {
  readonly group: string;
  readonly token: string;
  readonly body: Readonly<Record<string, string>>;
}
