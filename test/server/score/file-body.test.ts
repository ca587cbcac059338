import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import { dispositionName } from '../../../src/server/http/upload.js';
import { startService, withoutPython, type TestService } from '../start-service.js';

const PICTURE = Buffer.from(EXAMPLE_PICTURE, 'base64');
const JSON_BODY = Buffer.from(JSON.stringify({ items: [{ base64: EXAMPLE_PICTURE }] }));
const FORM_TYPE = 'multipart/form-data; boundary=b';
const form = (file: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from('--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'),
    file,
    Buffer.from('\r\n--b--\r\n'),
  ]);
const PACKED = [
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
] as const;
const MIB = 1024 ** 2;

let service: TestService;
beforeAll(async () => {
  service = await startService(
    ['limits.upload_mb=2', 'limits.body_mb=2', 'limits.manifest_mb=2', 'limits.memory_mb=8', 'limits.items=4'],
    withoutPython,
  );
});
afterAll(() => service.close());

interface Answer {
  status: number;
  body: {
    items?: { input: string; ok: boolean; results: Record<string, unknown>[] }[];
    error?: { code: string; message: string };
  };
}
async function post(body: Buffer, headers: Record<string, string>, path = '/v1/score'): Promise<Answer> {
  const answer = await fetch(`${service.url}${path}`, { method: 'POST', headers, body: new Uint8Array(body) });
  return { status: answer.status, body: (await answer.json()) as Answer['body'] };
}
const spooled = async (): Promise<string[]> =>
  (await readdir(service.dataDir, { recursive: true })).filter((name) => /[\da-f]{8}-[\da-f]{4}-/.test(name));
/** All that a request retained is freed soon after its response. */
async function expectNothingLeft(): Promise<void> {
  await expect.poll(spooled).toEqual([]);
}

describe('a body that is one file', () => {
  it.each(['image/png', 'image/jpeg', 'video/mp4', 'application/octet-stream'])(
    'is scored as one item with the type %s',
    async (type) => {
      const { status, body } = await post(PICTURE, { 'Content-Type': type });
      expect([status, body.items?.length, body.items?.[0]?.input]).toEqual([200, 1, 'item 1']);
      expect(body.items?.[0]?.results[0]).toMatchObject({ kind: 'image', task: 'quality' });
    },
  );

  it('reads its settings from the query and its name from Content-Disposition', async () => {
    const headers = { 'Content-Type': 'image/png', 'Content-Disposition': 'attachment; filename="my photo.png"' };
    const { body } = await post(PICTURE, headers, '/v1/score?tasks=quality,aesthetics&scale=percent&timeout_ms=20000');
    expect(body.items?.[0]?.input).toBe('my photo.png');
    expect(body.items?.[0]?.results.map(({ task, scale }) => [task, scale])).toEqual([
      ['quality', 'percent'],
      ['aesthetics', 'percent'],
    ]);
    for (const query of ['scale=nonsense', 'scael=unit', 'timeout_ms=0'])
      expect((await post(PICTURE, headers, `/v1/score?${query}`)).body.error?.code).toBe('BODY_INVALID');
  });

  it('has the limits of a form, and is on disk above a megabyte', async () => {
    const large = Buffer.concat([PICTURE, Buffer.alloc(1.5 * MIB)]);
    expect((await post(large, { 'Content-Type': 'image/png' })).status).toBe(200);
    const over = await post(Buffer.alloc(2 * MIB + 1), { 'Content-Type': 'image/png' });
    expect([over.status, over.body.error?.code]).toEqual([413, 'BODY_TOO_LARGE']);
    const empty = await post(Buffer.alloc(0), { 'Content-Type': 'image/png' });
    expect(empty.body.error).toMatchObject({
      code: 'BODY_INVALID',
      message: expect.stringContaining('empty') as string,
    });
    await expectNothingLeft();
  });

  it('frees its memory when the client disconnects', async () => {
    const going = request(`${service.url}/v1/score`, {
      method: 'POST',
      headers: { 'Content-Type': 'image/png', 'Content-Length': 2 * MIB },
    });
    going.on('error', () => undefined);
    going.write(Buffer.alloc(1.5 * MIB));
    await expect.poll(spooled).toHaveLength(1);
    going.destroy();
    await expectNothingLeft();
  });

  it('is accepted only for scoring; errors for other types list the accepted ones', async () => {
    const wrong = await post(PICTURE, { 'Content-Type': 'application/x-www-form-urlencoded' });
    expect([wrong.status, wrong.body.error?.code]).toEqual([415, 'BODY_UNSUPPORTED']);
    expect(wrong.body.error?.message).toContain('image/*, video/*, application/octet-stream');
    expect((await post(PICTURE, { 'Content-Type': 'image/png' }, '/v1/compare')).status).toBe(415);
    const query = await post(JSON_BODY, { 'Content-Type': 'application/json' }, '/v1/score?scale=unit');
    expect(query.body.error?.code).toBe('BODY_INVALID');
  });

  it.each([
    ['attachment; filename="a b.png"', 'a b.png'],
    ['attachment; filename=a.png', 'a.png'],
    ["attachment; filename=x.png; filename*=UTF-8''%E6%BC%A2.png", '漢.png'],
    ["inline; filename*=utf-8''%zz; filename=ok.png", 'ok.png'],
    ['attachment; filename="../../etc/passwd"', 'passwd'],
    ['attachment; filename="C:\\\\x\\\\y.png"', 'y.png'],
    ['attachment; filename="a\\"b.png"', 'a"b.png'],
    [Buffer.from('attachment; filename="漢.png"').toString('latin1'), '漢.png'],
    ['attachment', ''],
    ['', ''],
  ])('a name: %s', (header, name) => {
    expect(dispositionName(header)).toBe(name);
  });
});

const BODIES = [
  ['JSON', 'application/json', JSON_BODY],
  ['a form', FORM_TYPE, form(PICTURE)],
  ['a file', 'image/png', PICTURE],
] as const;

describe.each(BODIES)('Content-Encoding of %s', (_what, type, body) => {
  it.each(PACKED)('decompresses %s', async (encoding, pack) => {
    const { status, body: answer } = await post(pack(body), { 'Content-Type': type, 'Content-Encoding': encoding });
    expect([status, answer.items?.[0]?.ok]).toEqual([200, true]);
  });

  it.each(['zstd', 'gzip, gzip', 'toString'])('refuses %s by name', async (encoding) => {
    const { status, body: answer } = await post(body, { 'Content-Type': type, 'Content-Encoding': encoding });
    expect([status, answer.error?.code]).toEqual([415, 'BODY_UNSUPPORTED']);
    expect(answer.error?.message).toContain(JSON.stringify(encoding.toLowerCase()));
  });

  it('refuses other content, and truncated content, as malformed', async () => {
    const packed = gzipSync(Buffer.concat([body]));
    for (const sent of [body, packed.subarray(0, packed.length - 12)])
      expect((await post(sent, { 'Content-Type': type, 'Content-Encoding': 'gzip' })).status).toBe(400);
    await expectNothingLeft();
  });

  it.each(PACKED)('stops a %s bomb at the limit', async (encoding, pack) => {
    const many =
      type === FORM_TYPE
        ? Buffer.concat(
            Array.from({ length: 4 }, () =>
              Buffer.from(
                '--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n' + '\0'.repeat(MIB) + '\r\n',
              ),
            ),
          )
        : Buffer.alloc(64 * MIB, ' ');
    const packed = pack(many);
    expect(packed.length).toBeLessThan(MIB / 8);
    const { status, body: answer } = await post(packed, { 'Content-Type': type, 'Content-Encoding': encoding });
    expect([status, answer.error?.code]).toEqual([413, 'BODY_TOO_LARGE']);
    await expectNothingLeft();
    expect((await post(body, { 'Content-Type': type })).status).toBe(200);
  });
});

describe('Content-Encoding of the list of a job', () => {
  const list = Buffer.from(`{"id":"a","base64":"${EXAMPLE_PICTURE}"}\n`);
  it.each([
    ['application/x-ndjson', list, Buffer.alloc(8 * MIB, '\n')],
    [FORM_TYPE, form(list), form(Buffer.alloc(8 * MIB, '\n'))],
  ])('%s is unpacked up to its limit', async (type, body, bomb) => {
    const headers = { 'Content-Type': type, 'Content-Encoding': 'gzip' };
    expect((await post(gzipSync(body), headers, '/v1/jobs')).status).toBe(202);
    expect((await post(gzipSync(bomb), headers, '/v1/jobs')).status).toBe(413);
    expect((await post(body, { ...headers, 'Content-Encoding': 'zstd' }, '/v1/jobs')).status).toBe(415);
    expect((await post(body, headers, '/v1/jobs')).status).toBe(400);
  });
});
