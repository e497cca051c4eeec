import { describe, expect, test } from 'vitest';
import { clientOf, document, registry } from './clients.ts';

describe('waiting for confirmations', () => {
  test('ends when all mirrors have confirmed, with the receipt that proves it', async () => {
    const { cluster, client, registryId, mirror } = await registry();
    mirror.up = false;
    const { sequence } = await client.uploadDocument(registryId, document('A'));
    const waiting = client.waitUntilConfirmed(registryId, sequence);
    mirror.up = true;
    cluster.pass(600_000);
    await cluster.settle();

    const { receipt, bytes } = await waiting;

    expect(receipt.status).toEqual({ status: 'final' });
    expect(bytes.length).toBeGreaterThan(1000);
  });

  test('times out naming who has not confirmed', async () => {
    const { client, registryId, mirror } = await registry();
    mirror.up = false;
    const { sequence, transactionId } = await client.uploadDocument(registryId, document('A'));

    for (const entry of [sequence, transactionId]) {
      const call = client.waitUntilConfirmed(registryId, entry, { timeoutMs: 150 });
      await expect(call).rejects.toMatchObject({
        code: 'NOT_CONFIRMED_IN_TIME',
        retryable: true,
        members: { missing: [mirror.id] },
      });
      await expect(call).rejects.toThrow(`not confirmed by ${mirror.id}`);
    }
  });

  test('for some of the mirrors does not wait for the others', async () => {
    const { cluster, lead, mirror, atLead } = await registry();
    const third = await cluster.add('contractor');
    third.up = false;
    const client = clientOf(atLead);
    const peers = [lead.id, mirror.id, third.id];
    const { registryId } = await client.createRegistry({ name: 'N', peers });

    const { receipt } = await client.waitUntilConfirmed(registryId, 1, { peers: [mirror.id] });

    expect(receipt.status).toEqual({ status: 'confirmed', by: 1, of: 2 });
    const call = client.waitUntilConfirmed(registryId, 1, { peers: [third.id], timeoutMs: 50 });
    await expect(call).rejects.toMatchObject({ members: { missing: [third.id] } });
  });

  test('at a mirror begins before the entry has arrived there', async () => {
    const { cluster, client, registryId, mirror, atMirror } = await registry();
    mirror.up = false;
    const { sequence } = await client.uploadDocument(registryId, document('A'));
    const waiting = clientOf(atMirror).waitUntilConfirmed(registryId, sequence);
    await expect
      .poll(() => atMirror.arrived.filter(({ path }) => path.endsWith('/receipt')).length)
      .toBeGreaterThan(1);
    mirror.up = true;
    cluster.pass(600_000);
    await cluster.settle();

    expect((await waiting).receipt.status).toEqual({ status: 'final' });
  });

  test('for an entry that does not come says why', async () => {
    const { client, registryId } = await registry();

    const call = client.waitUntilConfirmed(registryId, 9, { timeoutMs: 150 });

    await expect(call).rejects.toMatchObject({ code: 'NOT_CONFIRMED_IN_TIME' });
    await expect(call).rejects.toThrow('this instance holds the entries 1 to 1');
  });

  test('of a registry without mirrors is refused at once', async () => {
    const { lead, atLead } = await registry();
    const client = clientOf(atLead);
    const { registryId } = await client.createRegistry({ name: 'alone', peers: [lead.id] });

    const call = client.waitUntilConfirmed(registryId, 1);

    await expect(call).rejects.toMatchObject({ code: 'NOBODY_TO_CONFIRM' });
  });

  test('counts an entry as final since the list from which its missing mirrors are gone', async () => {
    const { cluster, lead, mirror, atLead } = await registry();
    const third = await cluster.add('contractor');
    third.up = false;
    const client = clientOf(atLead);
    const peers = [lead.id, mirror.id, third.id];
    const { registryId } = await client.createRegistry({ name: 'N', peers });
    await client.reconfigurePeers(registryId, [lead.id, mirror.id]);

    const { receipt } = await client.waitUntilConfirmed(registryId, 1);

    expect(receipt.status).toEqual({ status: 'final-since', since: 2, without: [third.id] });
  });

  test('ends with the reason of the caller, and for good where a receipt is refused', async () => {
    const { client, registryId, mirror, atLead } = await registry();
    mirror.up = false;
    const { sequence } = await client.uploadDocument(registryId, document('A'));
    const ended = new AbortController();
    const reason = new Error('enough');

    const waiting = client.waitUntilConfirmed(registryId, sequence, { signal: ended.signal });
    ended.abort(reason);
    await expect(waiting).rejects.toBe(reason);

    atLead.intercept = async (_arrived, carry) => ({
      ...(await carry()),
      bytes: Buffer.from('{}'),
    });
    const lied = client.waitUntilConfirmed(registryId, sequence);
    await expect(lied).rejects.toMatchObject({ code: 'ANSWER_NOT_PROVEN' });
  });

  test('goes on over an instance that does not answer for a while', async () => {
    const { client, registryId, atLead } = await registry();
    let asked = 0;
    atLead.intercept = (_arrived, carry) => {
      asked += 1;
      return asked < 7 ? 'reset' : carry();
    };

    const { receipt } = await client.waitUntilConfirmed(registryId, 1);

    expect(receipt.status).toEqual({ status: 'final' });
  });

  test('says at last that an instance did not answer', async () => {
    const { client, registryId, atLead } = await registry();
    atLead.intercept = () => 'reset';

    const call = client.waitUntilConfirmed(registryId, 1, { timeoutMs: 100 });

    await expect(call).rejects.toMatchObject({ code: 'NOT_CONFIRMED_IN_TIME' });
    await expect(call).rejects.toThrow('does not answer');
  });
});
