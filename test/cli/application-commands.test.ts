import { createPublicKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { applicationCommands } from '../../cli/application-commands.ts';
import { runCommand } from '../../cli/command.ts';
import { exportLines } from '../../shared/registry/export.ts';
import { signBytes, testSigner } from '../signing.ts';
import { commandLine } from './commands.ts';

const uuid = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

describe('registries and their peers', () => {
  test('are created, shown and changed', async () => {
    const { run, create, lead, mirror, write } = await commandLine();
    expect(await run('status')).toEqual({ code: 0, lines: ['this instance holds no registry'] });
    const R = await create();
    const certificate = write('mirror.pem', mirror.certificate.certificatePem);

    const all = await run('status');
    const one = await run('status', '--registry', R);
    const entry = await run('status', '--registry', R, '--entry', '1');
    const changed = await run('peers', '--registry', R, '--peer', lead.id, '--peer', certificate);

    expect(all).toEqual({ code: 0, lines: [R] });
    expect(one.lines.slice(2)).toEqual([
      'conflicts none',
      `  lead   ${lead.id.slice(0, 8)} (this instance)`,
      `  mirror ${mirror.id.slice(0, 8)}  confirmed through 1  delivered through 1`,
    ]);
    expect(entry.lines).toEqual([
      expect.stringMatching(/^entry 1, digest [0-9a-f]{64}: final$/),
      `  lead   ${lead.id.slice(0, 8)}  recorded it`,
      expect.stringMatching(/^ {2}mirror [0-9a-f]{8} {2}confirmed 20.* \(through entry 1\)$/),
    ]);
    expect(changed.lines).toEqual([expect.stringMatching(/^entry 2, digest [0-9a-f]{64}$/)]);
  });

  test.each([
    ['another length', 'abc123'],
    ['no certificate', 'nothing.pem'],
  ])('are not made of a peer with %s', async (_what, peer) => {
    const { run } = await commandLine();

    const { code, lines } = await run('create', '--name', 'Neubau', '--mirror', peer);

    expect(code).toBe(1);
    expect(lines).toHaveLength(1);
  });
});

describe('documents', () => {
  test('are recorded, listed, found by their bytes and downloaded', async () => {
    const { run, create, write, path, read } = await commandLine();
    const R = await create();
    const plan = write('plan.txt', 'Grundriss');
    const upload = ['upload', '--registry', R, '--document', 'A', '--file', plan];

    const first = await run(...upload, '--wait', '60');
    await run(...upload, '--name', 'Plan', '--note', 'Los 1');
    const documents = await run('documents', '--registry', R);
    const versions = await run('document', '--registry', R, '--document', 'A');
    const found = await run('contents', plan);
    const download = ['download', '--registry', R, '--document', 'A', '--version', '1'];
    const downloaded = await run(...download, '--out', path('copy.txt'));

    expect(first.lines.slice(0, 3)).toEqual([
      'A version 1: entry 2',
      expect.stringMatching(/^entry digest {3}[0-9a-f]{64}$/),
      expect.stringMatching(/^content digest [0-9a-f]{64} \(9 bytes\)$/),
    ]);
    expect(first.lines[3]).toMatch(/: final$/);
    expect(documents.lines).toEqual([
      expect.stringMatching(/^A version 2 {2}entry 3, 20\S+ {2}9 bytes {2}text\/plain {2}Plan$/),
    ]);
    expect(versions.lines).toHaveLength(4);
    expect(versions.lines[0]).toMatch(/plan\.txt$/);
    expect(found.lines).toEqual([
      expect.stringMatching(new RegExp(`^registry ${R} {2}A version 1 `)),
      expect.stringMatching(new RegExp(`^registry ${R} {2}A version 2 `)),
    ]);
    expect(downloaded.lines[0]).toMatch(/copy\.txt: 9 bytes, SHA-256 [0-9a-f]{64} as recorded$/);
    expect(read('copy.txt').toString()).toBe('Grundriss');
    const again = await run(...download, '--out', path('copy.txt'));
    expect(again).toMatchObject({ code: 1, lines: [expect.stringMatching(/^FILE_NOT_WRITTEN: /)] });
  });

  test('that look like something else than they are declared are recorded with a warning', async () => {
    const { run, create, write } = await commandLine();
    const R = await create();
    const file = write('plan.pdf', 'ISO-10303-21;\nHEADER;');

    const { code, lines } = await run('upload', '--registry', R, '--document', 'A', '--file', file);

    expect(code).toBe(0);
    expect(lines[0]).toMatch(/^warning: .*declared as application\/pdf/);
    expect(lines[1]).toBe('A version 1: entry 2');
  });

  test('that are not there are told as such', async () => {
    const { run, create, path } = await commandLine();
    const R = await create();
    const upload = ['upload', '--registry', R, '--document', 'A'];

    expect(await run('documents', '--registry', R)).toEqual({
      code: 0,
      lines: ['this registry has no documents'],
    });
    expect(await run('document', '--registry', R, '--document', 'A')).toMatchObject({
      code: 1,
      lines: [expect.stringMatching(/^DOCUMENT_UNKNOWN: /)],
    });
    expect(await run('contents', 'ab'.repeat(32))).toMatchObject({
      code: 1,
      lines: [expect.stringMatching(/is not registered at/)],
    });
    expect(await run('contents', path('nothing'))).toMatchObject({ code: 1 });
    expect(await run(...upload, '--file', path('nothing'))).toMatchObject({
      code: 1,
      lines: [expect.stringMatching(/cannot be read \(ENOENT\)/)],
    });
  });
});

describe('signatures', () => {
  async function asked(signer = testSigner('ES256')) {
    const line = await commandLine();
    const R = await line.create();
    const file = line.write('report.txt', 'Standsicherheit');
    await line.run('upload', '--registry', R, '--document', 'STA', '--file', file);
    const { publicKey } = signer;
    const request = async (key: string) => {
      const words = ['--document', 'STA', '--version', '1', '--purpose', 'approval'];
      const who = ['--signer', 'Dr. Weiß', '--due', '2100-01-31', '--note', 'bald', '--key', key];
      const { lines } = await line.run('request-signature', '--registry', R, ...words, ...who);
      return { lines, requestId: uuid.exec(lines[0] ?? '')?.[0] ?? '' };
    };
    return { ...line, R, signer, publicKey, request };
  }

  test('are asked for with a JWK or with PEM, made with a key, and shown', async () => {
    const { run, request, write, signer, publicKey, R, lead } = await asked();
    const pem = createPublicKey(signer.key).export({ type: 'spki', format: 'pem' }).toString();
    const key = signer.key.export({ type: 'pkcs8', format: 'pem' }).toString();
    const byJwk = await request(write('key.jwk', JSON.stringify(publicKey)));
    const byPem = await request(write('key.pem', pem));
    const sign = ['sign', '--registry', R, '--key', write('private.pem', key)];

    const signed = await run(...sign, '--request', byJwk.requestId);
    const all = await run('signing-requests', '--registry', R);
    const open = await run('signing-requests', '--registry', R, '--status', 'open');
    const other = await run('signing-requests', '--registry', R, '--document', 'X');

    expect(byPem.lines[0]).toMatch(/^request \S+: entry 4$/);
    expect(signed.lines[0]).toMatch(/^request \S+ is signed: entry 5, digest [0-9a-f]{64}$/);
    expect(signed.lines[1]).toMatch(/: final$/);
    expect(signed.lines[2]).toContain(lead.id.slice(0, 8));
    expect(all.lines).toHaveLength(3);
    expect(all.lines[0]).toMatch(
      /signed {3}STA version 1 {2}approval {2}due 2100-01-31T.* Dr. Weiß$/,
    );
    expect(all.lines[1]).toMatch(/^ {2}signed {2}entry 5, .* ES256$/);
    expect(open.lines).toHaveLength(1);
    expect(other.lines).toEqual(['there are no such requests']);
  });

  test('of another program are given as it wrote them', async () => {
    const { run, request, write, read, path, signer, publicKey, R } = await asked();
    const { requestId } = await request(write('key.jwk', JSON.stringify(publicKey)));
    const where = ['--registry', R, '--request', requestId];

    const input = await run('signing-input', ...where, '--out', path('input.bin'));
    const header = /^protected (\S+)$/.exec(input.lines[3] ?? '')?.[1] ?? '';
    const signature = write('signature.der', signBytes('ES256', signer.key, read('input.bin')));
    const given = ['--signature', signature, '--protected', header, '--wait', '0'];
    const submitted = await run('submit-signature', ...where, ...given);

    expect(input.lines[0]).toMatch(/input\.bin: \d+ bytes to sign, SHA-256 [0-9a-f]{64}$/);
    expect(input.lines[1]).toMatch(/urn:registry:[0-9a-f]{64}:document:STA:version:1$/);
    expect(submitted.lines).toEqual([expect.stringMatching(/is signed: entry 4/)]);
    const again = await run('signing-input', ...where, '--out', path('again.bin'));
    expect(again).toMatchObject({
      code: 1,
      lines: [expect.stringMatching(/^REQUEST_ALREADY_SIGNED: /)],
    });
  });

  test.each([
    ['--purpose', 'fun', 1],
    ['--due', 'soon', 2],
    ['--key', 'nothing.pem', 1],
  ])('are not asked for with %s %s', async (option, value, expected) => {
    const { run, write, publicKey, R } = await asked();
    const good: Record<string, string> = {
      '--registry': R,
      '--document': 'STA',
      '--version': '1',
      '--key': write('key.jwk', JSON.stringify(publicKey)),
      '--purpose': 'approval',
      '--signer': 'N. N.',
    };
    const words = Object.entries({ ...good, [option]: value }).flat();

    const { code, lines } = await run('request-signature', ...words);

    expect(code).toBe(expected);
    expect(lines).toHaveLength(1);
  });
});

describe('evidence', () => {
  async function recorded() {
    const line = await commandLine();
    const R = await line.create();
    const file = line.write('plan.txt', 'Grundriss');
    await line.run('upload', '--registry', R, '--document', 'A', '--file', file);
    return { ...line, R };
  }

  test('a receipt is written, and verified by whoever has it, offline', async () => {
    const { run, R, path, lead, atLead } = await recorded();
    const out = path('receipt.json');

    const written = await run('receipt', '--registry', R, '--entry', '2', '--out', out);
    const before = atLead.arrived.length;
    const where = ['--ca', path('ca.pem'), '--registry', R];
    const verified = await run('verify-receipt', out, ...where);

    expect(written.lines[0]).toMatch(/receipt\.json: \d+ bytes, verified$/);
    expect(verified).toMatchObject({ code: 0 });
    expect(verified.lines[0]).toBe(`${out}: sound: registry ${R}`);
    expect(verified.lines[1]).toMatch(/^entry 2, digest [0-9a-f]{64}: final$/);
    expect(verified.lines[2]).toBe(`  lead   ${lead.id.slice(0, 8)}  recorded it`);
    expect(verified.lines.slice(4)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^upload-document, appended 20/),
        '  documentId     A',
        '  name           plan.txt',
      ]),
    );
    expect(atLead.arrived.length).toBe(before);
    const again = await run('receipt', '--registry', R, '--entry', '2', '--out', out);
    expect(again).toMatchObject({ code: 1, lines: [expect.stringMatching(/not overwritten/)] });
  });

  test.each([
    ['changed', (text: string) => text.replace('plan.txt', 'plan.doc'), /WRONG: DETAILS_DIGEST/],
    ['cut off', (text: string) => text.slice(0, 100), /WRONG: NOT_JSON/],
  ])('a receipt that was %s is found wrong', async (_what, change, sentence) => {
    const { run, R, path, read, write } = await recorded();
    await run('receipt', '--registry', R, '--entry', '2', '--out', path('receipt.json'));
    const file = write('changed.json', change(read('receipt.json').toString()));

    const { code, lines } = await run(
      'verify-receipt',
      file,
      '--ca',
      path('ca.pem'),
      '--registry',
      R,
    );

    expect(code).toBe(1);
    expect(lines.join()).toMatch(sentence);
  });

  test('a receipt is not verified against what is no CA or no registry id', async () => {
    const { run, R, path } = await recorded();
    const out = path('receipt.json');
    await run('receipt', '--registry', R, '--entry', '2', '--out', out);

    const noCa = await run('verify-receipt', out, '--ca', path('plan.txt'), '--registry', R);
    const noId = await run('verify-receipt', out, '--ca', path('ca.pem'), '--registry', 'R');

    expect(noCa).toMatchObject({ code: 1, lines: [expect.stringMatching(/CA cannot be read/)] });
    expect(noId).toMatchObject({ code: 1, lines: [expect.stringMatching(/64 hex digits/)] });
  });

  test('who confirmed what is a table', async () => {
    const { run, R, lead, mirror } = await recorded();

    const { lines } = await run('confirmations', '--registry', R);
    const part = await run('confirmations', '--registry', R, '--from', '2', '--to', '2');

    expect(lines[0]).toMatch(
      new RegExp(`entry +status +${lead.id.slice(0, 8)} +${mirror.id.slice(0, 8)}`),
    );
    expect(lines[1]).toMatch(/^ +1 +final +leads +20\d\d-\S+Z$/);
    expect(lines).toHaveLength(3);
    expect(part.lines).toHaveLength(2);
  });

  test('an operator takes the words of an entry out, and an export says so', async () => {
    const { run, R, lead, atLead, profile, path, write } = await recorded();
    const operator = profile('operator', atLead.profile(lead.operator));
    const order = ['redact', '--registry', R, '--entry', '2', '--reason', 'Löschverlangen'];

    const refused = await run(...order);
    const done = await run(...order, '--profile', operator);

    expect(refused).toMatchObject({
      code: 1,
      lines: [expect.stringMatching(/^ROLE_NOT_ALLOWED: /)],
    });
    expect(done.lines[0]).toBe(
      `entry 2: its details are gone from the copy of ${lead.id.slice(0, 8)}`,
    );
    expect((await run('documents', '--registry', R)).lines[0]).toMatch(/\(name redacted\)$/);
    await run('receipt', '--registry', R, '--entry', '2', '--out', path('redacted.json'));
    const where = ['--ca', path('ca.pem'), '--registry', R];
    const verified = await run('verify-receipt', path('redacted.json'), ...where);
    expect(verified.lines.at(-1)).toMatch(/redacted at .*: Löschverlangen$/);
    const text: string[] = [];
    for await (const each of exportLines(lead.known, R as never)) text.push(`${each}\n`);
    const exported = await run('verify-export', write('export.jsonl', text.join('')));
    expect(exported.code).toBe(0);
    expect(exported.lines.slice(1)).toEqual([
      expect.stringMatching(/^ {2}[0-9a-f]{8} has confirmed 2 times, newest through entry 2$/),
      expect.stringMatching(
        /^ {2}entry 2: details redacted at [0-9a-f]{8}, decided by [0-9a-f]{8}$/,
      ),
    ]);
  });
});

describe('the lead', () => {
  async function atTheMirror() {
    const line = await commandLine();
    const { lead, mirror, atMirror } = line;
    const { config } = lead.ports;
    const applications = new Set([...config.applications, mirror.application.certificateId]);
    lead.ports = { ...lead.ports, config: { ...config, applications } };
    const R = await line.create();
    const file = line.write('plan.txt', 'Grundriss');
    const profile = line.profile('mirror', atMirror.profile());
    const upload = ['upload', '--profile', profile, '--registry', R, '--document', 'A'];
    return { ...line, upload: [...upload, '--file', file] };
  }

  test('is followed from any instance', async () => {
    const { run, upload } = await atTheMirror();

    expect(await run(...upload, '--wait', '60')).toMatchObject({ code: 0 });
  });

  test('is not followed where the person does not want it', async () => {
    const { run, upload } = await atTheMirror();

    const { code, lines } = await run(...upload, '--no-follow');

    expect(code).toBe(1);
    expect(lines[0]).toMatch(/^NOT_THE_LEAD: .*https:\/\/localhost:\d+$/);
  });
});

describe('what goes wrong is one line, and an exit code', () => {
  test.each([
    [['status'], 2, /^profile is missing: call registry status/],
    [['upload', '--profile', 'p.json'], 2, /^registry is missing/],
    [['status', '--profile', 'p.json', '--profile', 'q.json'], 2, /^--profile can be given once/],
    [['status', '--profile', 'nothing.json'], 1, /^FILE_UNREADABLE: nothing\.json/],
    [['status', '--no-follow', '--profile', 'p.json'], 2, /^Unknown option '--no-follow'/],
  ])('%j', async (words, expected, sentence) => {
    const lines: string[] = [];

    const code = await runCommand(applicationCommands, words, (text) => lines.push(text));

    expect(code).toBe(expected);
    expect(lines).toEqual([expect.stringMatching(sentence)]);
  });

  test('a profile that is none', async () => {
    const { run, write } = await commandLine();

    const ran = await run('status', '--profile', write('profile.json', '{"endpoint":"http://a"}'));

    expect(ran).toMatchObject({ code: 1, lines: [expect.stringMatching(/^PROFILE_INVALID: /)] });
  });
});
