import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { type ClientRequest, type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { S3Error } from '../../../infra/local/s3-error.ts';
import { type S3Server, startS3Server } from '../../../infra/local/s3-server.ts';
import { verifySignature } from '../../../infra/local/s3-signature.ts';

const REGION = 'eu-central-1';
const BUCKET = 'bytes-of-client';
const MIB = 1024 * 1024;
const secrets: Record<string, string> = { client: 'secret of client', other: 'secret of other' };
const bytes = Buffer.from('the drawing of the third floor');
const otherBytes = Buffer.from('the drawing of the third Floor');

const nothing = (): void => undefined;
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };

let root: string;
let directory: string;
let server: S3Server;
const clients: S3Client[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 's3-server-'));
  directory = join(root, 'a', 'b', 'c');
  server = await start();
  await server.createBucket(BUCKET, 'client');
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await server.close();
  await rm(root, { recursive: true });
});

describe('a presigned PUT', () => {
  test('is taken once; the second one is answered with 412', async () => {
    const upload = await presignedPut();

    expect(await send({ ...upload, body: bytes })).toMatchObject({ status: 200 });
    expect(await send({ ...upload, body: bytes })).toMatchObject({
      status: 412,
      code: 'PreconditionFailed',
    });

    expect(await read()).toEqual(bytes);
  });

  test('of other bytes of the same length is refused with BadDigest and leaves nothing', async () => {
    const answer = await send({ ...(await presignedPut()), body: otherBytes });

    expect(answer).toMatchObject({ status: 400, code: 'BadDigest' });
    await expectNothingStored();
  });

  test('of another length breaks the signature', async () => {
    const upload = await presignedPut();
    const headers = { ...upload.headers, 'content-length': String(bytes.length - 1) };

    const answer = await send({ url: upload.url, headers, body: bytes.subarray(1) });

    expect(answer).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
    await expectNothingStored();
  });

  test.each([
    'if-none-match',
    'x-amz-checksum-sha256',
  ])('without its signed header %s is refused', async (name) => {
    const upload = await presignedPut();
    const { [name]: _, ...headers } = upload.headers;

    expect(await send({ ...upload, headers, body: bytes })).toMatchObject({
      status: 403,
      code: 'SignatureDoesNotMatch',
    });
    await expectNothingStored();
  });

  test('with a header of S3 that is not signed is refused', async () => {
    const upload = await presignedPut();
    const headers = { ...upload.headers, 'x-amz-acl': 'public-read' };

    const answer = await send({ ...upload, headers, body: bytes });

    expect(answer).toMatchObject({ status: 403, code: 'AccessDenied' });
    expect(answer.text).toContain('not signed: x-amz-acl');
  });

  test('is refused once it has expired', async () => {
    const signingDate = new Date(Date.now() - 301_000);

    const answer = await send({ ...(await presignedPut({ signingDate })), body: bytes });

    expect(answer).toMatchObject({ status: 403, code: 'AccessDenied' });
    expect(answer.text).toContain('Request has expired');
    await expectNothingStored();
  });

  test('that is dated in the future is refused', async () => {
    const signingDate = new Date(Date.now() + 16 * 60_000);

    const answer = await send({ ...(await presignedPut({ signingDate })), body: bytes });

    expect(answer).toMatchObject({ status: 403, code: 'AccessDenied' });
  });

  test.each([
    ['a later expiry', 'X-Amz-Expires=300', 'X-Amz-Expires=3000'],
    ['another key', 'documents/plan', 'documents/plot'],
    ['fewer signed headers', '%3Bif-none-match', ''],
    ['another access key', 'Credential=client', 'Credential=other'],
    ['another operation', 'x-id=PutObject', 'x-id=GetObject'],
  ])('with %s in its URL breaks the signature', async (_, from, to) => {
    const upload = await presignedPut();
    expect(upload.url).toContain(from);

    const answer = await send({ ...upload, url: upload.url.replace(from, to), body: bytes });

    expect(answer).toMatchObject({ status: 403, code: 'SignatureDoesNotMatch' });
    await expectNothingStored();
  });

  test.each([
    ['X-Amz-Expires=300', 'X-Amz-Expires=700000', 'AuthorizationQueryParametersError'],
    ['X-Amz-Expires=300', 'X-Amz-Expires=-1', 'AuthorizationQueryParametersError'],
    ['eu-central-1', 'us-east-1', 'AuthorizationQueryParametersError'],
    ['AWS4-HMAC-SHA256', 'AWS4-HMAC-SHA1', 'AuthorizationQueryParametersError'],
    ['X-Amz-Expires=300', 'X-Amz-Expires=300&X-Amz-Expires=300', 'InvalidArgument'],
    ['documents/plan', 'documents/%ff', 'InvalidURI'],
  ])('with %s turned into %s is refused with 400 %s', async (from, to, code) => {
    const upload = await presignedPut();

    const answer = await send({ ...upload, url: upload.url.replace(from, to), body: bytes });

    expect(answer).toMatchObject({ status: 400, code });
  });

  test('is no permission to GET', async () => {
    await put();
    const { url } = await presignedPut();

    expect(await send({ url, method: 'GET' })).toMatchObject({ status: 403 });
  });

  test('that breaks off leaves nothing behind and can be repeated', async () => {
    const upload = await presignedPut();
    const broken = openRequest({ ...upload, method: 'PUT' });
    broken.on('error', nothing);
    broken.write(bytes.subarray(0, 10));
    await expect.poll(uploads, { timeout: 5000 }).toHaveLength(1);

    broken.destroy();

    await expect.poll(uploads, { timeout: 5000 }).toHaveLength(0);
    await expectNothingStored();
    expect(await send({ ...upload, body: bytes })).toMatchObject({ status: 200 });
  });

  test('that stands still is refused with RequestTimeout', async () => {
    await restart({ idleTimeoutMs: 200 });
    const stalled = openRequest({ ...(await presignedPut()), method: 'PUT' });
    stalled.on('error', nothing);
    stalled.write(bytes.subarray(0, 10));

    const answer = await answerOf(stalled);

    expect(answer).toMatchObject({ status: 400, code: 'RequestTimeout' });
    await expectNothingStored();
  });

  test('of two at once stores one', async () => {
    const upload = await presignedPut();

    const answers = await Promise.all(
      Array.from({ length: 8 }, () => send({ ...upload, body: bytes })),
    );

    const statuses = answers.map(({ status }) => status).toSorted();
    expect(statuses).toEqual([200, 412, 412, 412, 412, 412, 412, 412]);
    expect(await read()).toEqual(bytes);
    expect(await uploads()).toEqual([]);
  });

  test('that waits for 100 Continue sends no body when it is refused', async () => {
    await put();
    const upload = await presignedPut();
    let continued = false;
    const waiting = openRequest({
      ...upload,
      method: 'PUT',
      headers: { ...upload.headers, expect: '100-continue' },
    });
    waiting.on('continue', () => {
      continued = true;
    });
    waiting.flushHeaders();

    const answer = await answerOf(waiting);
    waiting.destroy();

    expect(answer).toMatchObject({ status: 412, code: 'PreconditionFailed' });
    expect(continued).toBe(false);
  });

  test('goes on after 100 Continue', async () => {
    const upload = await presignedPut();
    const waiting = openRequest({
      ...upload,
      method: 'PUT',
      headers: { ...upload.headers, expect: '100-continue' },
    });
    waiting.on('continue', () => waiting.end(bytes));
    waiting.flushHeaders();

    expect(await answerOf(waiting)).toMatchObject({ status: 200 });
  });
});

describe('a PUT signed in the header', () => {
  test('is stored and its checksum is given back in checksum mode only', async () => {
    await put();

    const plain = await signed(new HeadObjectCommand({ Bucket: BUCKET, Key: 'documents/plan' }), {
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
    const checked = await signed(
      new HeadObjectCommand({ Bucket: BUCKET, Key: 'documents/plan', ChecksumMode: 'ENABLED' }),
    );

    expect((await send(plain)).headers['x-amz-checksum-sha256']).toBeUndefined();
    expect((await send(checked)).headers).toMatchObject({
      'content-length': String(bytes.length),
      'x-amz-checksum-sha256': checksumOf(bytes),
      'x-amz-checksum-type': 'FULL_OBJECT',
    });
  });

  test('replaces what is there unless it is put-once', async () => {
    await put(bytes);
    await put(otherBytes);

    expect(await read()).toEqual(otherBytes);
  });

  test('whose body is not the signed one is refused', async () => {
    const upload = await signed(putCommand(bytes, {}), {
      requestChecksumCalculation: 'WHEN_REQUIRED',
    });

    const answer = await send({ ...upload, body: otherBytes });

    expect(answer).toMatchObject({ status: 400, code: 'XAmzContentSHA256Mismatch' });
    await expectNothingStored();
  });

  test('in chunks without a length is refused with 411', async () => {
    const upload = await signed(putCommand(bytes), {}, (headers) => {
      delete headers['content-length'];
    });

    const answer = await send({
      ...upload,
      headers: { ...upload.headers, 'transfer-encoding': 'chunked' },
      body: bytes,
    });

    expect(answer).toMatchObject({ status: 411, code: 'MissingContentLength' });
    await expectNothingStored();
  });

  test('of more than 5 GiB is refused before its body', async () => {
    const command = new PutObjectCommand({
      Bucket: BUCKET,
      Key: 'documents/plan',
      Body: '',
      ContentLength: 5 * 1024 * MIB + 1,
      ChecksumSHA256: checksumOf(bytes),
    });
    const large = openRequest(await signed(command));
    large.on('error', nothing);
    large.flushHeaders();

    const answer = await answerOf(large);
    large.destroy();

    expect(answer).toMatchObject({ status: 400, code: 'EntityTooLarge' });
  });

  test('of a malformed checksum is refused', async () => {
    const upload = await signed(putCommand(bytes, { ChecksumSHA256: 'AAAA' }));

    expect(await send({ ...upload, body: bytes })).toMatchObject({
      status: 400,
      code: 'InvalidRequest',
    });
  });

  test.each([
    ['another checksum', { ChecksumCRC32: 'AAAAAA==' }],
    ['an MD5', { ContentMD5: createHash('md5').update(bytes).digest('base64') }],
    ['an access list', { ACL: 'private' as const }],
    ['metadata', { Metadata: { colour: 'red' } }],
    ['a condition on a version', { IfMatch: '"x"' }],
    ['a condition on another version', { IfNoneMatch: '"x"' }],
  ])('with %s is answered with 501', async (_, more) => {
    const upload = await signed(putCommand(bytes, more));

    expect(await send({ ...upload, body: bytes })).toMatchObject({
      status: 501,
      code: 'NotImplemented',
    });
    await expectNothingStored();
  });

  test('in the SDK chunk encoding is answered with 501', async () => {
    const upload = await signed(putCommand(bytes));
    const headers = {
      ...upload.headers,
      'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    };

    expect(await send({ ...upload, headers, body: bytes })).toMatchObject({ status: 501 });
  });
});

describe('credentials', () => {
  test('a request that is not signed is refused', async () => {
    const url = `${server.endpoint}/${BUCKET}/documents/plan`;

    expect(await send({ url, method: 'GET' })).toMatchObject({ status: 403, code: 'AccessDenied' });
  });

  test.each(['GET', 'PUT'] as const)('a key of another bucket may not %s', async (method) => {
    await put();
    const command = method === 'GET' ? getCommand() : putCommand(bytes);

    const answer = await send({
      ...(await signed(command, { credentials: credentialsOf('other') })),
      body: method === 'PUT' ? bytes : undefined,
    });

    expect(answer).toMatchObject({ status: 403, code: 'AccessDenied' });
  });

  test('a key that nobody knows is refused', async () => {
    const credentials = { accessKeyId: 'nobody', secretAccessKey: 'x' };

    expect(await send(await signed(getCommand(), { credentials }))).toMatchObject({
      status: 403,
      code: 'InvalidAccessKeyId',
    });
  });

  test('a wrong secret is refused', async () => {
    const credentials = { accessKeyId: 'client', secretAccessKey: 'wrong' };

    expect(await send(await signed(getCommand(), { credentials }))).toMatchObject({
      status: 403,
      code: 'SignatureDoesNotMatch',
    });
  });

  test.each([-16, 16])('a clock that is %i minutes off is refused', async (minutes) => {
    const systemClockOffset = minutes * 60_000;

    expect(await send(await signed(getCommand(), { systemClockOffset }))).toMatchObject({
      status: 403,
      code: 'RequestTimeTooSkewed',
    });
  });

  test.each([-14, 14])('a clock that is %i minutes off is taken', async (minutes) => {
    await put();
    const systemClockOffset = minutes * 60_000;

    expect(await send(await signed(getCommand(), { systemClockOffset }))).toMatchObject({
      status: 200,
    });
  });

  test('a signature for another region is refused', async () => {
    expect(await send(await signed(getCommand(), { region: 'us-east-1' }))).toMatchObject({
      status: 400,
      code: 'AuthorizationHeaderMalformed',
    });
  });

  test('a signature in the header and in the query is refused', async () => {
    const { url } = await presignedPut();
    const { headers } = await signed(getCommand());

    expect(await send({ url, headers, method: 'GET' })).toMatchObject({
      status: 400,
      code: 'InvalidArgument',
    });
  });

  test('a bucket belongs to the key that it was created for', async () => {
    await server.createBucket(BUCKET, 'client');

    await expect(server.createBucket(BUCKET, 'other')).rejects.toThrow('another access key');
    await expect(server.createBucket('../escape', 'client')).rejects.toThrow('no bucket name');
  });
});

describe('GET and HEAD', () => {
  test.each([
    ['bytes=0-2', 'the', 'bytes 0-2/30'],
    ['bytes=25-', 'floor', 'bytes 25-29/30'],
    ['bytes=-5', 'floor', 'bytes 25-29/30'],
    ['bytes=25-999', 'floor', 'bytes 25-29/30'],
    ['bytes=-999', bytes.toString(), 'bytes 0-29/30'],
  ])('the range %s gives "%s"', async (Range, text, contentRange) => {
    await put();

    const answer = await send(await signed(getCommand({ Range })));

    expect(answer).toMatchObject({ status: 206, text });
    expect(answer.headers).toMatchObject({
      'content-range': contentRange,
      'content-length': String(text.length),
    });
  });

  test.each([
    'bytes=30-',
    'bytes=99-100',
    'bytes=-0',
  ])('the range %s is outside and answered with 416', async (Range) => {
    await put();

    expect(await send(await signed(getCommand({ Range })))).toMatchObject({
      status: 416,
      code: 'InvalidRange',
    });
  });

  test.each([
    'bytes=0-1,3-4',
    'lines=0-1',
    'bytes=2-1',
    'bytes=-',
  ])('the range %s is no single range of bytes and is ignored', async (Range) => {
    await put();

    expect(await send(await signed(getCommand({ Range })))).toMatchObject({
      status: 200,
      text: bytes.toString(),
    });
  });

  test('an object that is not there is answered with 404 as XML', async () => {
    const answer = await send(await signed(getCommand({ Key: 'a&<b>' })));

    expect(answer).toMatchObject({ status: 404, code: 'NoSuchKey' });
    expect(answer.headers['content-type']).toBe('application/xml');
    expect(answer.text).toContain(`<Resource>/${BUCKET}/a%26%3Cb%3E</Resource>`);
  });

  test('HEAD of an object that is not there is a bare 404', async () => {
    const head = new HeadObjectCommand({ Bucket: BUCKET, Key: 'nothing' });

    expect(await send(await signed(head))).toMatchObject({ status: 404, text: '' });
  });

  test('a bucket that is not there is answered with 404', async () => {
    expect(await send(await signed(getCommand({ Bucket: 'missing' })))).toMatchObject({
      status: 404,
      code: 'NoSuchBucket',
    });
  });

  test('a presigned GET sets the headers that it was signed with', async () => {
    await put();
    const url = await getSignedUrl(
      client(),
      getCommand({
        ResponseContentDisposition: 'attachment; filename="a b.pdf"',
        ResponseContentType: 'application/octet-stream',
      }),
    );

    const answer = await send({ url, method: 'GET' });

    expect(answer).toMatchObject({ status: 200, text: bytes.toString() });
    expect(answer.headers).toMatchObject({
      'content-disposition': 'attachment; filename="a b.pdf"',
      'content-type': 'application/octet-stream',
    });
  });

  test('a response header cannot be split', async () => {
    await put();
    const url = await getSignedUrl(
      client(),
      getCommand({ ResponseContentDisposition: 'attachment\r\nset-cookie: a=b' }),
    );

    expect(await send({ url, method: 'GET' })).toMatchObject({
      status: 400,
      code: 'InvalidArgument',
    });
  });

  test.each([
    ['DeleteObject', new DeleteObjectCommand({ Bucket: BUCKET, Key: 'documents/plan' })],
    ['ListObjectsV2', new ListObjectsV2Command({ Bucket: BUCKET })],
    ['CreateBucket', new CreateBucketCommand({ Bucket: 'new-bucket' })],
    ['a conditional GET', getCommand({ IfNoneMatch: '"x"' })],
    ['a version', getCommand({ VersionId: 'x' })],
  ])('%s is answered with 501', async (_, command) => {
    await put();

    expect(await send(await signed(command))).toMatchObject({
      status: 501,
      code: 'NotImplemented',
    });
    expect(await read()).toEqual(bytes);
  });
});

describe('what is on disk', () => {
  test.each([
    '../../../escape',
    '..',
    '.',
    '/etc/passwd',
    'a/../../b',
    '..\\..\\escape',
    'nul\0byte',
    'line\nbreak',
    'CON',
    'ü'.repeat(512),
  ])('the key %j stays within the directory and is its own object', async (Key) => {
    const url = rawUrlOf('PUT', Key);
    const before = await everythingBelow(root);

    expect(await send({ url, method: 'PUT', headers: lengthOf(bytes), body: bytes })).toMatchObject(
      { status: 200 },
    );

    expect(await send({ url: rawUrlOf('GET', Key), method: 'GET' })).toMatchObject({
      text: bytes.toString(),
    });
    expect(await storedFiles()).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
    const [stored = ''] = await storedFiles();
    const after = [...before, join(objectsFolder(), stored)].toSorted();
    expect(await everythingBelow(root)).toEqual(after);
  });

  test('keys that differ in case or encoding only are different objects', async () => {
    await put(bytes, 'documents/plan');
    await put(otherBytes, 'documents/Plan');
    await put(Buffer.from('third'), 'documents%2Fplan');

    expect(await read('documents/plan')).toEqual(bytes);
    expect(await read('documents/Plan')).toEqual(otherBytes);
    expect(await read('documents%2Fplan')).toEqual(Buffer.from('third'));
  });

  test('a key of more than 1024 bytes is refused', async () => {
    const url = rawUrlOf('GET', 'x'.repeat(1025));

    expect(await send({ url, method: 'GET' })).toMatchObject({
      status: 400,
      code: 'KeyTooLongError',
    });
  });

  test('buckets, owners and objects survive a restart', async () => {
    await put();

    await restart();

    expect(await read()).toEqual(bytes);
    await expect(server.createBucket(BUCKET, 'other')).rejects.toThrow('another access key');
  });

  test('kill -9 in the middle of an upload keeps what was answered and nothing else', async () => {
    await server.close();
    const child = await startInChild();
    await child.ask('createBucket');
    server = { ...server, endpoint: child.endpoint };
    await put(bytes, 'documents/answered');
    const { url, headers } = await presignedPut();
    const broken = openRequest({ url, headers, method: 'PUT' });
    broken.on('error', nothing);
    broken.write(bytes.subarray(0, 10));
    await expect.poll(uploads, { timeout: 5000 }).toHaveLength(1);

    await child.kill();
    server = await start();

    expect(await uploads()).toEqual([]);
    expect(await read('documents/answered')).toEqual(bytes);
    expect(await send(await signed(getCommand()))).toMatchObject({ status: 404 });
  });

  test('memory does not grow with 200 MiB up and down', async () => {
    await server.close();
    const child = await startInChild();
    await child.ask('createBucket');
    server = { ...server, endpoint: child.endpoint };
    await put(Buffer.alloc(MIB), 'documents/warm');
    await read('documents/warm');
    const before = await child.ask('rss');

    const digest = await putMany(200);
    const { url } = await signedGet();
    const received = createHash('sha256');
    const answer = await fetch(url);
    for await (const chunk of answer.body ?? []) received.update(chunk);

    expect(received.digest('base64')).toBe(digest);
    expect((await child.ask('peak')) - before).toBeLessThan(100 * MIB);
    await child.kill();
    server = await start();
  });
});

describe('Signature Version 4', () => {
  const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
  const settings = {
    region: 'us-east-1',
    secretOf: (id: string) => (id === 'AKIAIOSFODNN7EXAMPLE' ? secret : undefined),
    now: Date.parse('2013-05-24T00:00:00Z'),
  };
  const host = ['host', 'examplebucket.s3.amazonaws.com'] as const;
  const target = { method: 'GET', path: '/test.txt', bucket: 'test.txt', key: '' };

  test('the example of the S3 reference for the header is valid', () => {
    const empty = createHash('sha256').digest('hex');
    const headers = new Map([
      host,
      ['range', 'bytes=0-9'],
      ['x-amz-content-sha256', empty],
      ['x-amz-date', '20130524T000000Z'],
      [
        'authorization',
        'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,' +
          'SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,' +
          'Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
      ],
    ]);

    const signer = verifySignature(
      { ...target, query: [], parameters: new Map(), headers },
      settings,
    );

    expect(signer).toEqual({ accessKeyId: 'AKIAIOSFODNN7EXAMPLE', payload: empty });
  });

  test('the example of the S3 reference for the query is valid until it expires', () => {
    const query = [
      ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
      ['X-Amz-Credential', 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request'],
      ['X-Amz-Date', '20130524T000000Z'],
      ['X-Amz-Expires', '86400'],
      ['X-Amz-SignedHeaders', 'host'],
      ['X-Amz-Signature', 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404'],
    ] as const;
    const parameters = new Map(query.map(([name, value]) => [name.toLowerCase(), value]));
    const presigned = { ...target, query, parameters, headers: new Map([host]) };

    expect(verifySignature(presigned, settings).payload).toBe('UNSIGNED-PAYLOAD');
    expect(() =>
      verifySignature(presigned, { ...settings, now: settings.now + 86_400_001 }),
    ).toThrow(S3Error);
  });
});

test('the server listens on the loopback address only and ends with close', async () => {
  await server.close();
  await server.close();

  const socket = connect(server.port, '127.0.0.1');
  const [error] = await once(socket, 'error');

  expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  expect(server.endpoint).toBe(`http://127.0.0.1:${server.port}`);
});

test('a port that is taken is refused before anything on disk is touched', async () => {
  const upload = await presignedPut();
  const slow = openRequest({ ...upload, method: 'PUT' });
  slow.write(bytes.subarray(0, 10));
  await expect.poll(uploads, { timeout: 5000 }).toHaveLength(1);

  const second = startS3Server({
    directory,
    port: server.port,
    region: REGION,
    secretOf: () => undefined,
  });

  await expect(second).rejects.toThrow('free that port or choose another one');
  slow.end(bytes.subarray(10));
  expect(await answerOf(slow)).toMatchObject({ status: 200 });
});

test('a directory that cannot be used is named', async () => {
  await put();
  const [file = ''] = await storedFiles();
  const unusable = join(objectsFolder(), file, 'below');

  const starting = startS3Server({
    directory: unusable,
    port: 0,
    region: REGION,
    secretOf: () => undefined,
  });

  await expect(starting).rejects.toThrow(`cannot use the directory ${unusable}`);
});

interface Outgoing {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Record<string, string> | undefined;
  readonly body?: Uint8Array | undefined;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly code: string | undefined;
}

type AnyCommand =
  | CreateBucketCommand
  | DeleteObjectCommand
  | GetObjectCommand
  | HeadObjectCommand
  | ListObjectsV2Command
  | PutObjectCommand;

function start(more: { readonly idleTimeoutMs?: number } = {}): Promise<S3Server> {
  const secretOf = (accessKeyId: string): string | undefined => secrets[accessKeyId];
  return startS3Server({ directory, port: 0, region: REGION, secretOf, ...more });
}

async function restart(more: { readonly idleTimeoutMs?: number } = {}): Promise<void> {
  await server.close();
  server = await start(more);
}

function credentialsOf(accessKeyId: string): { accessKeyId: string; secretAccessKey: string } {
  return { accessKeyId, secretAccessKey: secrets[accessKeyId] ?? '' };
}

function client(more: S3ClientConfig = {}): S3Client {
  const made = new S3Client({
    region: REGION,
    endpoint: server.endpoint,
    credentials: credentialsOf('client'),
    forcePathStyle: true,
    maxAttempts: 1,
    // The SDK warns about what these tests provoke.
    logger: silent,
    ...more,
  });
  clients.push(made);
  return made;
}

function checksumOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('base64');
}

function lengthOf(body: Uint8Array): Record<string, string> {
  return { 'content-length': String(body.length) };
}

function getCommand(
  more: Partial<ConstructorParameters<typeof GetObjectCommand>[0]> = {},
): GetObjectCommand {
  return new GetObjectCommand({ Bucket: BUCKET, Key: 'documents/plan', ...more });
}

function putCommand(
  body: Uint8Array,
  more: Partial<ConstructorParameters<typeof PutObjectCommand>[0]> = {
    ChecksumSHA256: checksumOf(body),
  },
): PutObjectCommand {
  const ContentLength = body.length;
  return new PutObjectCommand({
    Bucket: BUCKET,
    Key: 'documents/plan',
    Body: body,
    ContentLength,
    ...more,
  });
}

async function presignedPut({
  signingDate = new Date(),
} = {}): Promise<Outgoing & { readonly headers: Record<string, string> }> {
  const bound = ['content-length', 'if-none-match', 'x-amz-checksum-sha256'];
  const command = putCommand(bytes, { ChecksumSHA256: checksumOf(bytes), IfNoneMatch: '*' });
  const url = await getSignedUrl(client(), command, {
    expiresIn: 300,
    signingDate,
    unhoistableHeaders: new Set(bound),
    signableHeaders: new Set(['host', ...bound]),
  });
  const headers = {
    ...lengthOf(bytes),
    'if-none-match': '*',
    'x-amz-checksum-sha256': checksumOf(bytes),
  };
  return { url, headers };
}

async function signedGet(): Promise<{ readonly url: string }> {
  return { url: await getSignedUrl(client(), getCommand()) };
}

/**
 * A presigned URL of a key as it is, where the SDK or a URL parser would tidy the path. Written from
 * the S3 reference, so that the server is not checked against the SDK alone.
 */
function rawUrlOf(method: 'GET' | 'PUT', key: string): string {
  const encode = (text: string): string =>
    Buffer.from(text).reduce((encoded, byte) => encoded + encodeByte(byte), '');
  const path = `/${BUCKET}/${key.split('/').map(encode).join('/')}`;
  const timestamp = `${new Date().toISOString().replace(/[-:]|\..*/g, '')}Z`;
  const scope = `${timestamp.slice(0, 8)}/${REGION}/s3/aws4_request`;
  const query = [
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    `X-Amz-Credential=${encode(`client/${scope}`)}`,
    `X-Amz-Date=${timestamp}`,
    'X-Amz-Expires=60',
    'X-Amz-SignedHeaders=host',
  ].join('&');
  const host = `host:${server.endpoint.slice('http://'.length)}`;
  const canonical = [method, path, query, host, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n');
  const digest = createHash('sha256').update(canonical).digest('hex');
  const signingKey = [`AWS4${secrets['client']}`, ...scope.split('/')]
    .map((part) => Buffer.from(part))
    .reduce((parent, part) => createHmac('sha256', parent).update(part).digest());
  const signature = createHmac('sha256', signingKey)
    .update(['AWS4-HMAC-SHA256', timestamp, scope, digest].join('\n'))
    .digest('hex');
  return `${server.endpoint}${path}?${query}&X-Amz-Signature=${signature}`;
}

function encodeByte(byte: number): string {
  const character = String.fromCharCode(byte);
  if (/[A-Za-z0-9._~-]/.test(character)) return character;
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** The request that the SDK would send, signed, without sending it. */
async function signed(
  command: AnyCommand,
  config: S3ClientConfig = {},
  change: (headers: Record<string, string>) => void = nothing,
): Promise<Outgoing> {
  const signing = client(config);
  let outgoing: Outgoing | undefined;
  signing.middlewareStack.add(
    (next) => (args) => {
      change((args.request as { headers: Record<string, string> }).headers);
      return next(args);
    },
    { step: 'build', priority: 'low' },
  );
  signing.middlewareStack.add(
    () => async (args) => {
      outgoing = outgoingOf(args.request as Parameters<typeof outgoingOf>[0]);
      return { response: {}, output: { $metadata: {} } };
    },
    { step: 'deserialize', priority: 'high' },
  );
  await signing.send(command as GetObjectCommand);
  if (outgoing === undefined) throw new Error('the SDK signed nothing');
  return outgoing;
}

function outgoingOf(made: {
  readonly method: string;
  readonly path: string;
  readonly query: Record<string, string>;
  readonly headers: Record<string, string>;
}): Outgoing {
  const query = Object.entries(made.query)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join('&');
  return {
    method: made.method,
    url: `${server.endpoint}${made.path}${query === '' ? '' : `?${query}`}`,
    headers: made.headers,
  };
}

function openRequest({ url, method = 'PUT', headers }: Outgoing): ClientRequest {
  const { hostname, port } = new URL(url);
  // The path as it is: a URL would resolve its dots.
  const path = url.slice(url.indexOf('/', 'http://'.length));
  return request({ hostname, port, method, path, headers: headers ?? {}, agent: false });
}

function send(outgoing: Outgoing): Promise<Answer> {
  const sending = openRequest(outgoing);
  sending.end(outgoing.body);
  return answerOf(sending);
}

async function answerOf(sending: ClientRequest): Promise<Answer> {
  const [response] = await once(sending, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const code = /<Code>(\w+)<\/Code>/.exec(text)?.[1];
  return { status: response.statusCode, headers: response.headers, text, code };
}

async function put(body: Uint8Array = bytes, Key = 'documents/plan'): Promise<void> {
  await client().send(putCommand(body, { Key, ChecksumSHA256: checksumOf(body) }));
}

async function read(Key = 'documents/plan'): Promise<Buffer> {
  const { Body } = await client().send(getCommand({ Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

/** Uploads so many MiB as a stream, each different, and returns the checksum. */
async function putMany(mebibytes: number): Promise<string> {
  const chunkAt = (index: number): Buffer => Buffer.alloc(MIB, `chunk ${index}`);
  const hash = createHash('sha256');
  for (let index = 0; index < mebibytes; index += 1) hash.update(chunkAt(index));
  const checksum = hash.digest('base64');
  const sending = openRequest(
    await signed(
      new PutObjectCommand({
        Bucket: BUCKET,
        Key: 'documents/plan',
        Body: '',
        ContentLength: mebibytes * MIB,
        ChecksumSHA256: checksum,
      }),
      {},
      (headers) => {
        headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      },
    ),
  );
  const answer = answerOf(sending);
  for (let index = 0; index < mebibytes; index += 1)
    if (!sending.write(chunkAt(index))) await once(sending, 'drain');
  sending.end();
  expect(await answer).toMatchObject({ status: 200 });
  return checksum;
}

function uploads(): Promise<string[]> {
  return readdir(join(directory, 'uploads'));
}

function objectsFolder(): string {
  return join(directory, 'buckets', BUCKET, 'objects');
}

function storedFiles(): Promise<string[]> {
  return readdir(objectsFolder());
}

/** Every file and folder below, in order. */
async function everythingBelow(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true });
  return found.map((name) => join(folder, name)).toSorted();
}

async function expectNothingStored(): Promise<void> {
  expect(await storedFiles()).toEqual([]);
  await expect.poll(uploads, { timeout: 5000 }).toEqual([]);
}

interface ServerInChild {
  readonly endpoint: string;
  ask(question: 'createBucket' | 'rss' | 'peak'): Promise<number>;
  kill(): Promise<void>;
}

async function startInChild(): Promise<ServerInChild> {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--input-type=module', '--eval', childProgram()],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  const [endpoint] = await once(child, 'message');
  return {
    endpoint,
    ask: async (question) => {
      child.send(question);
      const [answer] = await once(child, 'message');
      return answer;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

function childProgram(): string {
  const module = new URL('../../../infra/local/s3-server.ts', import.meta.url);
  return `
    import { startS3Server } from ${JSON.stringify(module.href)};
    const secrets = ${JSON.stringify(secrets)};
    const server = await startS3Server({
      directory: ${JSON.stringify(directory)},
      port: 0,
      region: '${REGION}',
      secretOf: (accessKeyId) => secrets[accessKeyId],
    });
    const answers = {
      createBucket: () => server.createBucket('${BUCKET}', 'client').then(() => 0),
      rss: () => process.memoryUsage.rss(),
      peak: () => process.resourceUsage().maxRSS * 1024,
    };
    process.on('message', async (question) => process.send(await answers[question]()));
    process.on('disconnect', () => process.exit());
    process.send(server.endpoint);
  `;
}
