/**
 * The commands `registry key …`: the secret of an instance's key. Endpoint, region and credentials are
 * those of AWS's own variables. No key is ever printed, and no id of the instance ever dropped.
 */
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import {
  type InstanceSecret,
  readInstanceSecret,
  writeInstanceSecret,
} from '../shared/adapters/aws/instance-secret.ts';
import { createInstanceSigner } from '../shared/adapters/instance-signer.ts';
import {
  type Certificate,
  readCertificate,
  verifyCertificate,
} from '../shared/ledger/certificate.ts';
import { CommandMistake, type Commands, type Given, type Output, readText } from './command.ts';
import { authoritiesIn } from './evidence-commands.ts';

const UNANNOUNCED = 'unannounced';

export const keyCommands: Commands = {
  'key put': {
    usage:
      'key put --secret <arn> --certificate <file> --key <file> --ca <file> ' +
      `[--${UNANNOUNCED}] (a new key that no registry has heard of)`,
    required: ['secret', 'certificate', 'key', 'ca'],
    optional: [],
    flags: [UNANNOUNCED],
    run: put,
  },
  'key announce': {
    usage: 'key announce --secret <arn> --certificate <file of the next key> --ca <file>',
    required: ['secret', 'certificate', 'ca'],
    optional: [],
    run: announce,
  },
  'key show': {
    usage: 'key show --secret <arn>',
    required: ['secret'],
    optional: [],
    run: show,
  },
};

async function put(given: Given, output: Output): Promise<void> {
  const next = await certificateFor(given);
  const { certificateId } = next;
  const privateKeyPem = await readText(given.value('key'));
  checkPair(privateKeyPem, next);
  await withSecret(given, async (secrets, arn) => {
    const held = await readSecret(secrets, arn);
    const before = held === undefined ? undefined : certificateIn(held);
    const known = idsOf(held);
    if (held !== undefined && !known.includes(certificateId) && !given.flag(UNANNOUNCED))
      throw new CommandMistake(
        `${certificateId} is a new key: announce it with "registry key announce", record the new ` +
          `id in every registry, and put the key then; or, where the old key is lost, add ` +
          `--${UNANNOUNCED}`,
      );
    const formerIds = known.filter((id) => id !== certificateId);
    const certificatePem = next.pem;
    await store(secrets, arn, { held, next: { privateKeyPem, certificatePem, formerIds } }, output);
    if (before !== undefined) output(`before: ${lineOf(before)}`);
    tell({ certificatePem, formerIds }, output, 'now:    ');
    output('functions use it within five minutes');
  });
}

/** The old key signs on, and knows that the new one is its own. */
async function announce(given: Given, output: Output): Promise<void> {
  const next = await certificateFor(given);
  await withSecret(given, async (secrets, arn) => {
    const held = await readSecret(secrets, arn);
    if (held === undefined)
      throw new CommandMistake(`${arn} holds no key yet: fill it with "registry key put"`);
    const own = certificateIn(held).certificateId;
    const former = [...held.formerIds, next.certificateId].filter((id) => id !== own);
    const announced = { ...held, formerIds: [...new Set(former)] };
    await store(secrets, arn, { held, next: announced }, output);
    tell(announced, output, 'now:    ');
    output(
      `next: when functions know it, in five minutes, record a peer list with ` +
        `${next.certificateId} in place of ${own} in every registry; then "registry key put"`,
    );
  });
}

async function show(given: Given, output: Output): Promise<void> {
  await withSecret(given, async (secrets, arn) => {
    const held = await readSecret(secrets, arn);
    if (held === undefined)
      throw new CommandMistake(`${arn} holds no key yet: fill it with "registry key put"`);
    const { notBefore, notAfter, pem } = certificateIn(held);
    checkPair(held.privateKeyPem, { pem });
    tell(held, output, '');
    const now = Date.now();
    if (now < Date.parse(notBefore))
      throw new CommandMistake('CERTIFICATE_NOT_YET_VALID: its time has not begun');
    if (now > Date.parse(notAfter))
      throw new CommandMistake('CERTIFICATE_EXPIRED: its time is over: renew it');
  });
}

/** Read, of an instance, valid now, and issued by the cluster's CA; with its chain as in the file. */
async function certificateFor(given: Given): Promise<Certificate> {
  const file = given.value('certificate');
  const read = readCertificate(await readText(file));
  if (read.outcome === 'refused') throw new CommandMistake(`${file}: ${read.code}: ${read.reason}`);
  const { certificate } = read;
  if (certificate.endpoint === undefined)
    throw new CommandMistake(
      `${file}: is the certificate of an application, operator or auditor: expected that of an ` +
        'instance, with its endpoint',
    );
  const trust = verifyCertificate(certificate, await authoritiesIn(given.value('ca')), new Date());
  if (trust.outcome === 'refused')
    throw new CommandMistake(`${file}: ${trust.code}: ${trust.reason}`);
  return certificate;
}

/** Throws the signer's own sentence, which holds nothing of the key. */
function checkPair(privateKeyPem: string, { pem }: Pick<Certificate, 'pem'>): void {
  try {
    createInstanceSigner({ privateKeyPem, certificatePem: pem, formerIds: [] });
  } catch (error) {
    throw new CommandMistake(error instanceof Error ? error.message : 'the key cannot be used');
  }
}

function certificateIn({ certificatePem }: InstanceSecret): Certificate {
  const read = readCertificate(certificatePem);
  if (read.outcome === 'read') return read.certificate;
  throw new CommandMistake(`the certificate in the secret: ${read.code}: ${read.reason}`);
}

/** Every id that the instance has had, the present one first. */
function idsOf(held: InstanceSecret | undefined): string[] {
  if (held === undefined) return [];
  return [...new Set([certificateIn(held).certificateId, ...held.formerIds])];
}

async function withSecret(
  given: Given,
  work: (secrets: SecretsManagerClient, arn: string) => Promise<void>,
): Promise<void> {
  const secrets = new SecretsManagerClient({});
  try {
    await work(secrets, given.value('secret'));
  } finally {
    secrets.destroy();
  }
}

async function readSecret(
  secrets: SecretsManagerClient,
  arn: string,
): Promise<InstanceSecret | undefined> {
  const read = await asMistake(arn, () => readInstanceSecret(secrets, arn));
  if (read.outcome === 'read') return read.secret;
  if (read.outcome === 'empty') return undefined;
  throw new CommandMistake(
    `${arn} holds something that is no key of an instance, and with it perhaps ids of this ` +
      'instance: look at it, and move it away or mend it by hand',
  );
}

interface Replacing {
  readonly held: InstanceSecret | undefined;
  readonly next: InstanceSecret;
}

/** Writes what differs, and reads it back: what is there then is what functions get. */
async function store(
  secrets: SecretsManagerClient,
  arn: string,
  { held, next }: Replacing,
  output: Output,
): Promise<void> {
  if (held !== undefined && isSame(held, next)) {
    output('the secret holds exactly this: nothing was written');
    return;
  }
  await asMistake(arn, () => writeInstanceSecret(secrets, arn, next));
  const stored = await readSecret(secrets, arn);
  if (stored === undefined || !isSame(stored, next))
    throw new CommandMistake(
      `${arn} holds something else than was written: somebody else writes it as well; look with ` +
        '"registry key show" and repeat',
    );
}

function isSame(one: InstanceSecret, other: InstanceSecret): boolean {
  return (
    one.privateKeyPem === other.privateKeyPem &&
    one.certificatePem === other.certificatePem &&
    one.formerIds.join() === other.formerIds.join()
  );
}

async function asMistake<Result>(arn: string, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    // The SDK's errors name the operation and the reason, never what was sent.
    const { name, message } = error instanceof Error ? error : new Error('unknown');
    throw new CommandMistake(`${arn}: ${name}: ${message}`);
  }
}

type Shown = Pick<InstanceSecret, 'certificatePem' | 'formerIds'>;

function tell({ certificatePem, formerIds }: Shown, output: Output, label: string): void {
  const certificate = certificateIn({ privateKeyPem: '', certificatePem, formerIds });
  output(`${label}${lineOf(certificate)}`);
  for (const id of formerIds) output(`also known as ${id}`);
}

function lineOf({ certificateId, endpoint, notBefore, notAfter }: Certificate): string {
  return `${certificateId} at ${endpoint}, valid ${notBefore} to ${notAfter}`;
}
