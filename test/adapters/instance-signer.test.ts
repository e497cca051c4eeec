import type { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { beforeEach, describe, expect, test } from 'vitest';
import { secretSigner } from '../../shared/adapters/aws/secret-signer.ts';
import { createInstanceSigner } from '../../shared/adapters/instance-signer.ts';
import { systemClock, systemRandom } from '../../shared/adapters/system.ts';
import { headSchema } from '../../shared/ledger/checkpoint.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { readStatement } from '../../shared/ledger/jws.ts';
import { testAuthority, testInstance, testKey } from '../certificate-authority.ts';

const authority = testAuthority();
const instance = testInstance(authority);
const formerId = digestOf('a former key') as string;
const parts = {
  privateKeyPem: instance.keyPem,
  certificatePem: instance.certificatePem,
  formerIds: [formerId],
};

function headStatement(signer: string) {
  return {
    format: 'registry/head/v1',
    registryId: digestOf('registry'),
    signer: signer as never,
    sequence: 3,
    digest: digestOf('entry 3'),
    copy: 1,
    nonce: '00'.repeat(16),
  };
}

describe('the signer of an instance', () => {
  test('knows its certificate id and the former ones', () => {
    const signer = createInstanceSigner({
      ...parts,
      formerIds: [formerId, instance.certificateId],
    });

    expect(signer.certificateId).toBe(instance.certificateId);
    expect(signer.knownIds).toEqual([instance.certificateId, formerId]);
  });

  test('signs statements that verify under its id', () => {
    const signer = createInstanceSigner(parts);
    const statement = headStatement(signer.certificateId);

    const read = readStatement(signer.sign(statement), headSchema);

    expect(read).toMatchObject({ outcome: 'read', statement });
  });

  test('does not sign what names another signer', () => {
    const signer = createInstanceSigner(parts);

    expect(() => signer.sign(headStatement(formerId))).toThrow('is not signed by');
  });

  test.each([
    ['a key of another certificate', { privateKeyPem: testKey().pem }, 'does not belong to'],
    ['a key of another curve', { privateKeyPem: testKey('p384').pem }, 'does not belong to'],
    ['a key that is none', { privateKeyPem: 'secret text' }, 'cannot be read: expected PEM'],
    ['a certificate that is none', { certificatePem: 'secret text' }, 'is refused (CERTIFICATE_'],
    ['an authority', { certificatePem: authority.certificatePem }, '(CERTIFICATE_IS_CA)'],
    ['a former id that is none', { formerIds: ['AB'] }, 'is no certificate id'],
  ])('refuses %s, and tells no secret', (_, change, sentence) => {
    const create = () => createInstanceSigner({ ...parts, ...change });

    expect(create).toThrow(sentence);
    expect(create).not.toThrow('secret text');
  });
});

describe('the signer from Secrets Manager', () => {
  let now = 0;
  const clock = { now: () => now, wait: async () => undefined };
  let asked: string[] = [];
  let answer: () => { SecretString?: string };
  const client = new SecretsManagerClient({ region: 'us-east-1' });
  client.send = async (command: GetSecretValueCommand) => {
    asked.push(command.input.SecretId ?? '');
    return answer();
  };

  beforeEach(() => {
    now = 0;
    asked = [];
    answer = () => ({ SecretString: JSON.stringify(parts) });
  });

  test('gives the signer and the PEMs that TLS needs', async () => {
    const key = await secretSigner(client, 'arn:secret', clock)();

    expect(key.signer.knownIds).toEqual([instance.certificateId, formerId]);
    expect(key.privateKeyPem).toBe(instance.keyPem);
    expect(key.certificatePem).toBe(instance.certificatePem);
    expect(asked).toEqual(['arn:secret']);
  });

  test('reads the secret once in five minutes, also when asked at the same time', async () => {
    const key = secretSigner(client, 'arn:secret', clock);
    await Promise.all([key(), key()]);
    now = 299_999;
    await key();
    expect(asked).toHaveLength(1);

    now = 300_000;
    const renewed = testInstance(authority);
    answer = () => ({
      SecretString: JSON.stringify({
        privateKeyPem: renewed.keyPem,
        certificatePem: renewed.certificatePem,
      }),
    });

    expect((await key()).signer.knownIds).toEqual([renewed.certificateId]);
    expect(asked).toHaveLength(2);
  });

  test('tries again at once after a failure', async () => {
    const key = secretSigner(client, 'arn:secret', clock);
    answer = () => {
      throw new Error('throttled');
    };
    await expect(key()).rejects.toThrow('throttled');
    answer = () => ({ SecretString: JSON.stringify(parts) });

    expect((await key()).signer.certificateId).toBe(instance.certificateId);
  });

  test.each([
    ['no text', {}],
    ['text that is not JSON', { SecretString: 'secret text' }],
    ['JSON without the key', { SecretString: '{"privateKeyPem":"secret text"}' }],
  ])('refuses a secret of %s, and tells nothing of it', async (_, secret) => {
    answer = () => secret;
    const key = secretSigner(client, 'arn:secret', clock);

    await expect(key()).rejects.toThrow("the secret arn:secret is not the instance's key");
    await expect(key()).rejects.not.toThrow('secret text');
  });
});

describe('the system', () => {
  test('has a clock that waits', async () => {
    const before = systemClock.now();

    await systemClock.wait(20);

    expect(systemClock.now() - before).toBeGreaterThanOrEqual(15);
  });

  test('has randomness of the shapes that are asked for', () => {
    expect(systemRandom.hex(16)).toMatch(/^[0-9a-f]{32}$/);
    expect(systemRandom.uuid()).toMatch(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);
    const fraction = systemRandom.fraction();
    expect(fraction >= 0 && fraction < 1).toBe(true);
  });
});
