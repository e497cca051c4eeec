/** The commands about signatures by people. */
import { X509Certificate } from 'node:crypto';
import type { SigningOptions } from '../shared/client/signing.ts';
import type { Purpose } from '../shared/ledger/transaction.ts';
import {
  CommandMistake,
  type Commands,
  type Given,
  numberOf,
  type Output,
  readBytes,
  readText,
  UsageMistake,
  writeNew,
} from './command.ts';
import {
  NO_FOLLOW,
  oneOf,
  supersedesOf,
  tellConfirmed,
  waitingOf,
  withClient,
} from './connected.ts';
import { requestLines } from './tables.ts';

const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'EdDSA', 'PS256', 'RS256'] as const;
const PURPOSES: readonly Purpose[] = ['approval', 'origin', 'receipt', 'creation'];
const STATUSES = ['open', 'overdue', 'signed'] as const;

export const signingCommands: Commands = {
  'request-signature': {
    usage:
      'request-signature --profile <file> --registry <id> --document <id> --version <number> ' +
      '--key <PEM, JWK or certificate file> --purpose <approval, origin, receipt or creation> ' +
      '--signer <text> [--due <date>] [--note <text>] [--supersedes <sequence>] [--no-follow]',
    required: ['profile', 'registry', 'document', 'version', 'key', 'purpose', 'signer'],
    optional: ['due', 'note', 'supersedes'],
    flags: [NO_FOLLOW],
    run: requestSignature,
  },
  'signing-requests': {
    usage:
      'signing-requests --profile <file> --registry <id> [--status <open, overdue or signed>] ' +
      '[--document <id>]',
    required: ['profile', 'registry'],
    optional: ['status', 'document'],
    run: signingRequests,
  },
  'signing-input': {
    usage:
      'signing-input --profile <file> --registry <id> --request <id> --out <file> ' +
      '[--algorithm <name>] [--certificate <file>]',
    required: ['profile', 'registry', 'request', 'out'],
    optional: ['algorithm', 'certificate'],
    run: signingInput,
  },
  sign: {
    usage:
      'sign --profile <file> --registry <id> --request <id> --key <private key file> ' +
      '[--algorithm <name>] [--certificate <file>] [--wait <seconds>] [--no-follow]',
    required: ['profile', 'registry', 'request', 'key'],
    optional: ['algorithm', 'certificate', 'wait'],
    flags: [NO_FOLLOW],
    run: sign,
  },
  'submit-signature': {
    usage:
      'submit-signature --profile <file> --registry <id> --request <id> --signature <file> ' +
      '--protected <header> [--wait <seconds>] [--no-follow]',
    required: ['profile', 'registry', 'request', 'signature', 'protected'],
    optional: ['wait'],
    flags: [NO_FOLLOW],
    run: submitSignature,
  },
};

async function requestSignature(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const due = given.optional('due');
    const note = given.optional('note');
    const recorded = await client.requestSignature(given.value('registry'), {
      documentId: given.value('document'),
      version: numberOf(given.value('version'), 'version') ?? 0,
      publicKey: keyIn(await readText(given.value('key'))),
      purpose: oneOf('purpose', given.value('purpose'), PURPOSES),
      signer: given.value('signer'),
      ...(due === undefined ? {} : { dueAt: dateOf(due) }),
      ...(note === undefined ? {} : { note }),
      ...(await supersedesOf(client, given)),
    });
    output(`request ${recorded.requestId}: entry ${recorded.sequence}`);
    output(`entry digest ${recorded.digest}`);
  });
}

/** A JWK is JSON; everything else is PEM, or refused as such. */
function keyIn(text: string): string | Readonly<Record<string, unknown>> {
  if (!text.trimStart().startsWith('{')) return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new CommandMistake('the key begins like a JWK, but is not JSON');
  }
}

function dateOf(text: string): Date {
  const date = new Date(text);
  if (Number.isNaN(date.getTime()))
    throw new UsageMistake(`--due ${text}: expected a date, such as 2027-01-31T12:00:00Z`);
  return date;
}

async function signingRequests(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const status = given.optional('status');
    const documentId = given.optional('document');
    const filter = {
      ...(status === undefined ? {} : { status: oneOf('status', status, STATUSES) }),
      ...(documentId === undefined ? {} : { documentId }),
    };
    let count = 0;
    for await (const request of client.signingRequests(given.value('registry'), filter)) {
      count += 1;
      for (const line of requestLines(request)) output(line);
    }
    if (count === 0) output('there are no such requests');
  });
}

async function signingOptionsOf(given: Given): Promise<SigningOptions> {
  const algorithm = given.optional('algorithm');
  const certificate = given.optional('certificate');
  return {
    ...(algorithm === undefined ? {} : { algorithm: oneOf('algorithm', algorithm, ALGORITHMS) }),
    ...(certificate === undefined
      ? {}
      : { certificates: certificatesIn(await readText(certificate)) }),
  };
}

/** DER of every certificate in the file, the signer's own first. */
function certificatesIn(pem: string): Uint8Array[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length > 0) return blocks.map((block) => new X509Certificate(block).raw);
  } catch {
    // The same sentence as for a file without any.
  }
  throw new CommandMistake('the certificate cannot be read: expected one or more in PEM');
}

async function signingInput(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const options = await signingOptionsOf(given);
    const registryId = given.value('registry');
    const input = await client.signingInput(registryId, given.value('request'), options);
    const out = given.value('out');
    await writeNew(out, input.bytes);
    output(`${out}: ${input.bytes.length} bytes to sign, SHA-256 ${input.digest}`);
    output(`over      ${input.objectUrn}`);
    output(`algorithm ${input.algorithm}`);
    output(`protected ${input.protected}`);
  });
}

/** Seconds that `sign` waits unless told otherwise; 0 does not wait. */
const WAIT_SECONDS = 60;

async function sign(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const registryId = given.value('registry');
    const requestId = given.value('request');
    const key = await readText(given.value('key'));
    const options = await signingOptionsOf(given);
    const { sequence, digest } = await client.signWithKey(registryId, requestId, key, options);
    output(`request ${requestId} is signed: entry ${sequence}, digest ${digest}`);
    const waiting = { registryId, sequence, ...waitingOf(given, WAIT_SECONDS) };
    await tellConfirmed(client, waiting, output);
  });
}

async function submitSignature(given: Given, output: Output): Promise<void> {
  await withClient(given, async (client) => {
    const registryId = given.value('registry');
    const requestId = given.value('request');
    const signature = await readBytes(given.value('signature'));
    const signed = { protected: given.value('protected'), signature };
    const recorded = await client.submitSignature(registryId, requestId, signed);
    const { sequence, digest } = recorded;
    output(`request ${requestId} is signed: entry ${sequence}, digest ${digest}`);
    await tellConfirmed(client, { registryId, sequence, ...waitingOf(given) }, output);
  });
}
