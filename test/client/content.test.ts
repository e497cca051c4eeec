import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, describe, expect, test } from 'vitest';
import type { Progress } from '../../shared/client/content-source.ts';
import { digestOf } from '../../shared/ledger/digest.ts';
import { expectSound } from '../sound-ledger.ts';
import { all, clientOf, document, registry } from './clients.ts';
import { at, lie } from './lying.ts';

const folder = mkdtempSync(join(tmpdir(), 'registry-client-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, bytes: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

describe('a document', () => {
  const bytes = randomBytes(3 * 1024 * 1024 + 7);
  const sources = {
    'a file': () => file('large.bin', bytes),
    bytes: () => bytes,
    'a stream that can be opened again': () =>
      async function* () {
        for (let from = 0; from < bytes.length; from += 500_000)
          yield bytes.subarray(from, from + 500_000);
      },
    'nothing at all': () => file('empty.bin', ''),
  };

  test.each(
    Object.keys(sources) as (keyof typeof sources)[],
  )('is recorded from %s', async (what) => {
    const { client, registryId, atLead } = await registry();
    const expected = what === 'nothing at all' ? Buffer.alloc(0) : bytes;
    const progress: Progress[] = [];

    const recorded = await client.uploadDocument(registryId, document('A', sources[what]()), {
      onProgress: (each) => progress.push(each),
    });

    const contentDigest = digestOf(expected);
    expect(recorded).toMatchObject({ contentDigest, size: expected.length, version: 1 });
    expect(atLead.arrivedAtStore.map(({ body }) => body.equals(expected))).toEqual([true]);
    const last = (phase: string) => progress.findLast((each) => each.phase === phase);
    if (expected.length > 0)
      expect([last('hash')?.bytes, last('send')?.bytes]).toEqual([bytes.length, bytes.length]);
    const version = await client.version(registryId, 'A', 1);
    expect((await buffer(await client.openContent(version))).equals(expected)).toBe(true);
  });

  test('is sent without gathering listeners, however many its chunks', async () => {
    const { client, registryId, atLead } = await registry();
    const warned: string[] = [];
    const onWarning = ({ name }: Error) => warned.push(name);
    process.on('warning', onWarning);
    async function* chunks() {
      for (let count = 0; count < 60; count += 1) yield Buffer.alloc(200_000, count);
    }

    await client.uploadDocument(registryId, document('A', chunks));

    process.off('warning', onWarning);
    expect(atLead.arrivedAtStore.map(({ body }) => body.length)).toEqual([12_000_000]);
    expect(warned).toEqual([]);
  });

  test('whose bytes are there already does not send them again', async () => {
    const { client, registryId, atLead } = await registry();
    await client.uploadDocument(registryId, document('A'));

    const again = await client.uploadDocument(registryId, document('A'));
    const elsewhere = await client.uploadDocument(registryId, document('B', Buffer.from('A')));

    expect([again.version, elsewhere.version]).toEqual([2, 1]);
    expect(atLead.arrivedAtStore).toHaveLength(1);
  });

  test('is given to an instance that lacks its bytes, and nothing is recorded', async () => {
    const { client, registryId, cluster, lead, atMirror } = await registry();
    cluster.downloads = async () => undefined;
    const { contentDigest, size } = await client.uploadDocument(registryId, document('A'));
    const own = clientOf(atMirror);

    const given = await own.giveContent(registryId, Buffer.from('A'));
    const again = await own.giveContent(registryId, Buffer.from('A'));

    expect([given, again]).toEqual([
      { contentDigest, size, outcome: 'sent' },
      { contentDigest, size, outcome: 'held' },
    ]);
    expect(atMirror.arrivedAtStore.map(({ body }) => body.toString())).toEqual(['A']);
    expect(await lead.head(registryId as never)).toMatchObject({ sequence: 2 });
  });

  test('that another instance has to record does not send its bytes', async () => {
    const { registryId, atMirror } = await registry();

    const call = clientOf(atMirror).uploadDocument(registryId, document('A'));

    await expect(call).rejects.toMatchObject({ code: 'NOT_THE_LEAD', status: 421 });
    expect(atMirror.arrivedAtStore).toEqual([]);
  });

  test('as a version that is not the next is refused', async () => {
    const { client, registryId } = await registry();

    const call = client.uploadDocument(registryId, { ...document('A'), version: 7 });

    await expect(call).rejects.toMatchObject({ code: 'VERSION_NOT_NEXT', status: 409 });
  });

  test('with a name that is not in normalization form C is recorded all the same', async () => {
    const { client, registryId } = await registry();

    await client.uploadDocument(registryId, { ...document('A'), name: 'Bu\u0308rgerhaus' });

    expect(await client.document(registryId, 'A')).toMatchObject({ name: 'B\u00fcrgerhaus' });
  });

  test('that several clients record at once gets one version for each', async () => {
    const { client, registryId, lead } = await registry();

    const recorded = await Promise.all(
      ['one', 'two', 'three'].map((text) =>
        client.uploadDocument(registryId, document('A', Buffer.from(text))),
      ),
    );

    expect(recorded.map(({ version }) => version).sort()).toEqual([1, 2, 3]);
    await expectSound(lead, registryId as never);
  });

  test.each([
    ['no such file', () => join(folder, 'nothing'), 'FILE_UNREADABLE'],
    ['a folder', () => folder, 'FILE_UNREADABLE'],
  ])('that is %s is refused before anything is sent', async (_what, path, code) => {
    const { client, registryId, atLead } = await registry();
    const before = atLead.arrived.length;

    const call = client.uploadDocument(registryId, document('A', path()));

    await expect(call).rejects.toMatchObject({ code });
    expect(atLead.arrived.length).toBe(before);
  });
});

describe('an upload that is interrupted', () => {
  test('by a store that breaks off is repeated with a new address', async () => {
    const { client, registryId, atLead } = await registry();
    atLead.interceptBytes = (_arrived, carry) =>
      atLead.arrivedAtStore.length < 2 ? 'reset' : carry();

    const recorded = await client.uploadDocument(registryId, document('A'));

    expect(recorded.sequence).toBe(2);
    expect(atLead.arrivedAtStore).toHaveLength(2);
  });

  test('after the bytes arrived does not send them again', async () => {
    const { client, registryId, atLead } = await registry();
    atLead.interceptBytes = async (_arrived, carry) => {
      await carry();
      return 'reset' as const;
    };

    await client.uploadDocument(registryId, document('A'));

    expect(atLead.arrivedAtStore).toHaveLength(1);
  });

  test.each([
    [403, true],
    [503, true],
    [404, false],
  ])('by a store that answers %i is tried again only where that may help', async (status, again) => {
    const { client, registryId, atLead } = await registry();
    atLead.interceptBytes = (_arrived, carry) =>
      atLead.arrivedAtStore.length < 2 ? { status, headers: {}, bytes: Buffer.from('') } : carry();

    const call = client.uploadDocument(registryId, document('A'));

    if (again) expect((await call).sequence).toBe(2);
    else await expect(call).rejects.toMatchObject({ code: 'UPLOAD_REFUSED' });
    expect(atLead.arrivedAtStore).toHaveLength(again ? 2 : 1);
  });

  test('and repeated by another process with its transaction id is recorded once', async () => {
    const { client, registryId, atLead, lead } = await registry();
    const transactionId = randomUUID();
    const first = await client.uploadDocument(registryId, document('A'), { transactionId });

    const again = await clientOf(atLead).uploadDocument(registryId, document('A'), {
      transactionId,
    });

    expect(again).toEqual(first);
    expect(await lead.head(registryId as never)).toMatchObject({ sequence: 2 });
    expect(atLead.arrivedAtStore).toHaveLength(1);
    const other = clientOf(atLead).uploadDocument(registryId, document('B'), { transactionId });
    await expect(other).rejects.toMatchObject({ code: 'TRANSACTION_ID_REUSED' });
  });

  test('while an earlier call with its transaction id gets through is recorded once', async () => {
    const { client, registryId, atLead } = await registry();
    const transactionId = randomUUID();
    const others = clientOf(atLead);
    let overtaken = false;
    atLead.intercept = async (arrived, carry) => {
      if (arrived.path.endsWith('/transactions') && !overtaken) {
        overtaken = true;
        await others.uploadDocument(registryId, document('A'), { transactionId });
      }
      return carry();
    };

    const recorded = await client.uploadDocument(registryId, document('A'), { transactionId });

    expect(recorded.version).toBe(1);
    expect((await all(client.entries(registryId))).length).toBe(2);
  });

  test('by bytes that change meanwhile is refused, and nothing is recorded', async () => {
    const { client, registryId, lead } = await registry();
    for (const later of ['other bytes', 'the bytes and more', 'the']) {
      let opened = 0;
      const source = async function* () {
        opened += 1;
        yield Buffer.from(opened === 1 ? 'the bytes..' : later);
      };

      const call = client.uploadDocument(registryId, document('A', source));

      await expect(call).rejects.toMatchObject({ code: 'UPLOAD_REFUSED', retryable: false });
    }
    expect(await lead.head(registryId as never)).toMatchObject({ sequence: 1 });
  });

  test('by its caller ends with the reason of the caller', async () => {
    const { client, registryId } = await registry();
    const ended = new AbortController();
    const reason = new Error('enough');

    const call = client.uploadDocument(registryId, document('A'), {
      signal: ended.signal,
      onProgress: ({ phase }) => {
        if (phase === 'send') ended.abort(reason);
      },
    });

    await expect(call).rejects.toBe(reason);
  });

  test('is not sent to an address without TLS, but for one on this machine', async () => {
    const { client, registryId, atLead } = await registry();
    lie(atLead, '/v1/uploads', at('upload.url', 'http://store.example/bytes'));

    const call = client.uploadDocument(registryId, document('A'));

    await expect(call).rejects.toMatchObject({ code: 'ANSWER_MALFORMED' });
  });
});

describe('a download', () => {
  async function recorded(text: string) {
    const held = await registry();
    await held.client.uploadDocument(held.registryId, document('A', Buffer.from(text)));
    const version = await held.client.version(held.registryId, 'A', 1);
    return { ...held, version };
  }

  test('gives the file its name when all bytes were checked', async () => {
    const { client, version } = await recorded('Statik');
    const target = join(folder, 'statik.txt');
    const seen: number[] = [];

    await client.downloadTo(version, target, { onProgress: (bytes) => seen.push(bytes) });

    expect(readFileSync(target, 'utf8')).toBe('Statik');
    expect(seen.at(-1)).toBe(6);
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  test('overwrites nothing', async () => {
    const { client, version, atLead } = await recorded('Statik');
    const target = file('mine.txt', 'mine');

    const call = client.downloadTo(version, target);
    await expect(call).rejects.toMatchObject({ code: 'FILE_NOT_WRITTEN' });

    const late = join(folder, 'late.txt');
    atLead.interceptBytes = (_arrived, carry) => {
      file('late.txt', 'came meanwhile');
      return carry();
    };
    await expect(client.downloadTo(version, late)).rejects.toMatchObject({
      code: 'FILE_NOT_WRITTEN',
    });
    expect([readFileSync(target, 'utf8'), readFileSync(late, 'utf8')]).toEqual([
      'mine',
      'came meanwhile',
    ]);
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  test('into a folder that is not there is told as such', async () => {
    const { client, version } = await recorded('Statik');

    const call = client.downloadTo(version, join(folder, 'nowhere', 'a.txt'));

    await expect(call).rejects.toMatchObject({ code: 'FILE_NOT_WRITTEN' });
    await expect(call).rejects.toThrow(/ENOENT/);
  });

  test.each([
    ['other bytes', 'Statix'],
    ['more bytes', 'Statik and more'],
    ['fewer bytes', 'Stat'],
  ])('of %s than were recorded is refused, and nothing is kept', async (what, text) => {
    const { client, version, atLead } = await recorded('Statik');
    atLead.interceptBytes = () => ({ status: 200, headers: {}, bytes: Buffer.from(text) });
    const target = join(folder, `${what}.txt`);

    await expect(client.downloadTo(version, target)).rejects.toMatchObject({
      code: 'CONTENT_DIFFERS',
      retryable: false,
    });
    const streamed = buffer(await client.openContent(version));
    await expect(streamed).rejects.toMatchObject({ code: 'CONTENT_DIFFERS' });

    expect(readdirSync(folder).filter((name) => name.startsWith(what))).toEqual([]);
  });

  test('of the bytes of something else is refused by their address', async () => {
    const { client, version, atLead } = await recorded('Statik');
    lie(atLead, '/content', at('contentDigest', 'ab'.repeat(32)));

    await expect(client.openContent(version)).rejects.toMatchObject({ code: 'ANSWER_NOT_PROVEN' });
  });

  test('is tried again where a connection breaks or an address has expired', async () => {
    const { client, version, atLead } = await recorded('Statik');
    atLead.interceptBytes = (_arrived, carry) => {
      if (atLead.arrivedAtStore.length === 2) return 'reset';
      if (atLead.arrivedAtStore.length === 3)
        return { status: 403, headers: {}, bytes: Buffer.from('') };
      return carry();
    };

    const bytes = await buffer(await client.openContent(version));

    expect(createHash('sha256').update(bytes).digest('hex')).toBe(version.contentDigest);
    expect(atLead.arrivedAtStore).toHaveLength(4);
  });

  test('of bytes that the instance has lost says so', async () => {
    const { client, version, lead } = await recorded('Statik');
    lead.blobs.lose(version.contentDigest);

    await expect(client.openContent(version)).rejects.toMatchObject({ code: 'CONTENT_NOT_HELD' });
  });
});
