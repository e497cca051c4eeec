import { createPublicKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { applicationCommands } from '../../cli/application-commands.ts';
import { runCommand } from '../../cli/command.ts';
import type { RawAnswer } from '../memory-cluster.ts';
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

    expect(all).toEqual({ code: 0, lines: [`${R}  Neubau`] });
    expect(one.lines.slice(2)).toEqual([
      'conflicts none',
      '  role    peer      state    confirmed  behind  delivered',
      `  lead    ${lead.id.slice(0, 8)}  in-step  leads      -       -          this instance`,
      `  mirror  ${mirror.id.slice(0, 8)}  in-step  through 1  -       through 1`,
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

describe('bytes that an instance lacks', () => {
  test('are given to it from a file that is registered, once', async () => {
    const { run, create, write, cluster, profile, atMirror } = await commandLine();
    const R = await create();
    const plan = write('plan.txt', 'Grundriss');
    cluster.downloads = async () => undefined;
    await run('upload', '--registry', R, '--document', 'A', '--file', plan);
    const at = ['--profile', profile('mirror', atMirror.profile()), '--registry', R];

    const given = await run('give', ...at, '--file', plan);
    const again = await run('give', ...at, '--file', plan);
    const other = await run('give', ...at, '--file', write('other.txt', 'Schnitt'));

    expect(given.lines).toEqual([expect.stringMatching(/^9 bytes, .* has them now$/)]);
    expect(again.lines).toEqual([expect.stringMatching(/ had them before: nothing was sent$/)]);
    expect(other.code).toBe(1);
    expect(other.lines).toEqual([
      expect.stringMatching(/other\.txt \(SHA-256 .*is no version of a document in this registry/),
    ]);
  });
});

describe('documents', () => {
  test('are recorded, listed, found by their bytes and downloaded', async () => {
    const { run, create, write, path, read } = await commandLine();
    const R = await create();
    const plan = write('plan.txt', 'Grundriss');
    const upload = ['upload', '--registry', R, '--document', 'A', '--file', plan];

    const first = await run(...upload, '--wait', '60');
    await run(...upload, '--version', '2', '--name', 'Plan', '--note', 'Los 1');
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

  test('with the bytes of the newest version are recorded again only on demand', async () => {
    const { run, create, write } = await commandLine();
    const R = await create();
    const upload = ['upload', '--registry', R, '--document', 'A', '--file'];
    const plan = write('plan.txt', 'Grundriss');
    await run(...upload, plan);

    const again = await run(...upload, plan, '--wait', '60');
    const onDemand = await run(...upload, plan, '--version', '2');
    const sameSize = await run(...upload, write('other.txt', 'grundriss'));

    expect(again.code).toBe(0);
    expect(again.lines[0]).toBe(
      'these are the very bytes of version 1 (entry 2): nothing recorded; ' +
        '--version 2 records them again',
    );
    expect(again.lines[1]).toMatch(/^entry 2, digest [0-9a-f]{64}: final$/);
    expect(onDemand.lines[0]).toBe('A version 2: entry 3');
    expect(sameSize.lines[0]).toBe('A version 3: entry 4');
  });

  test('that nobody mirrors are recorded, and cannot be waited for', async () => {
    const { run, write } = await commandLine();
    const { lines } = await run('create', '--name', 'Allein');
    const R = (lines[0] ?? '').replace('registry ', '');
    const upload = ['upload', '--registry', R, '--document', 'A'];

    const waited = await run(...upload, '--file', write('plan.txt', 'Grundriss'), '--wait', '60');

    expect(waited.code).toBe(1);
    expect(waited.lines[0]).toBe('A version 1: entry 2');
    expect(waited.lines.at(-1)).toMatch(/^NOBODY_TO_CONFIRM: entry 2 has no mirrors/);
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
    [[], 0, /^entry 4, digest /],
    [['--wait', '60'], 1, /^NOBODY_TO_CONFIRM: entry 4 has no mirrors/],
  ])('that nobody mirrors are given; %j ends with %i', async (wait, expected, sentence) => {
    const { run, write, signer, publicKey } = await asked();
    const { lines } = await run('create', '--name', 'Allein');
    const where = ['--registry', (lines[0] ?? '').replace('registry ', '')];
    await run('upload', ...where, '--document', 'A', '--file', write('a.txt', 'A'));
    const key = ['--key', write('key.jwk', JSON.stringify(publicKey))];
    const what = ['--document', 'A', '--version', '1', '--purpose', 'origin', '--signer', 'N. N.'];
    const requested = await run('request-signature', ...where, ...what, ...key);
    const request = ['--request', uuid.exec(requested.lines[0] ?? '')?.[0] ?? ''];
    const pem = signer.key.export({ type: 'pkcs8', format: 'pem' }).toString();

    const signed = await run(
      ...['sign', ...where, ...request, '--key', write('private.pem', pem), ...wait],
    );

    expect(signed.code).toBe(expected);
    expect(signed.lines[0]).toMatch(/is signed: entry 4/);
    expect(signed.lines[1]).toMatch(sentence);
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
    const { run, upload, atLead, lead } = await atTheMirror();

    const { code, lines } = await run(...upload, '--wait', '60');

    expect(code).toBe(0);
    expect(lines.slice(0, 2)).toEqual([
      `recording at ${atLead.origin}, where the lead ${lead.id.slice(0, 8)} is, not at the profile's`,
      'A version 1: entry 2',
    ]);
  });

  test('says from any instance that the newest version has the bytes', async () => {
    const { run, upload } = await atTheMirror();
    await run(...upload);

    const again = await run(...upload);

    expect(again.code).toBe(0);
    expect(again.lines).toEqual([
      expect.stringMatching(/^these are the very bytes of version 1 \(entry 2\): nothing recorded/),
    ]);
  });

  test('is asked whether the bytes are the newest, since a mirror may be behind', async () => {
    const { run, upload, write, atMirror } = await atTheMirror();
    await run(...upload);
    const behind: RawAnswer[] = [];
    // The mirror goes on to show the first version as the newest one.
    atMirror.intercept = async ({ path }, carry) => {
      if (!path.endsWith('/documents/A')) return carry();
      const [first = await carry()] = behind;
      behind.push(first);
      return first;
    };
    await run(...upload.slice(0, -1), write('other.txt', 'Schnitt'));

    const { lines } = await run(...upload);

    expect(behind).toHaveLength(2);
    expect(lines).toContain('A version 3: entry 4');
  });

  test('is not followed where the person does not want it', async () => {
    const { run, upload } = await atTheMirror();

    const { code, lines } = await run(...upload, '--no-follow');

    expect(code).toBe(1);
    expect(lines[0]).toMatch(/^NOT_THE_LEAD: .*https:\/\/localhost:\d+$/);
  });
});

describe('what goes wrong or is asked is one line, and an exit code', () => {
  test.each([
    [['status'], 2, /^--profile is missing: call registry status/],
    [['upload', '--profile', 'p.json'], 2, /^--registry is missing/],
    [['upload', '--help'], 0, /^registry upload --profile <file> --registry <id> --document/],
    [
      ['uplaod', '--profile', 'p.json'],
      2,
      /^"registry uplaod" is not known: "registry help" lists/,
    ],
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
