import { execFileSync, spawn } from 'node:child_process';
import { openSync, closeSync, createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { readFileLimited } from '../../../src/media/image-file.js';
import { expandSources, isReadOnce, openSource, type MediaSource } from '../../../src/media/sources.js';

const file = join(packageRoot, 'test/fixtures/pictures/pristine.jpg');
const picture = readFileSync(file);
const folder = mkdtempSync(join(tmpdir(), 'pipes-'));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
function makePipe(): string {
  const path = join(folder, `pipe${count++}`);
  execFileSync('mkfifo', [path]);
  return path;
}
const bytesOf = ({ media }: MediaSource): Buffer => Buffer.from(media as Uint8Array);

describe('a named pipe', () => {
  it('is read to its end, from a writer that comes late and writes slowly', async () => {
    const path = makePipe();
    spawn('sh', ['-c', `sleep 0.1; (head -c 10000 "$1"; sleep 0.1; tail -c +10001 "$1") > "$2"`, 'sh', file, path]);
    const source = await openSource(path, { hash: true });
    expect(source).toMatchObject({ input: path, kind: 'image', identity: { bytes: picture.length } });
    expect(source.identity?.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(source.identity?.modified).toBeUndefined();
    expect(bytesOf(source).equals(picture)).toBe(true);
  });

  it('of many megabytes arrives whole', async () => {
    const path = makePipe();
    const large = Buffer.alloc(20_000_000, 'qalign');
    createWriteStream(path).end(large);
    expect(bytesOf(await openSource(path)).equals(large)).toBe(true);
  });

  it('over the limit is an error', async () => {
    const path = makePipe();
    createWriteStream(path)
      .on('error', () => {})
      .end(Buffer.alloc(300_000));
    expect((await openSource(path, { limits: { maxBytes: 100_000 } })).error?.code).toBe('MEDIA_TOO_LARGE');
  });

  it('that nobody writes to ends after a silence, also with an open writer, or with the signal', async () => {
    const path = makePipe();
    const silent = { limits: { timeoutMs: 150 } };
    expect((await openSource(path, silent)).error?.code).toBe('MEDIA_TIMEOUT');
    const reader = openSync(path, 'r+');
    expect((await openSource(path, silent)).error?.code).toBe('MEDIA_TIMEOUT');
    closeSync(reader);
    const signal = AbortSignal.timeout(100);
    await expect(openSource(path, { signal })).rejects.toThrow(/timeout/);
  });

  it('is not opened in a folder, and never by who reads files only', async () => {
    const path = makePipe();
    const passed: string[] = [];
    for await (const source of expandSources([folder], { onPassedOver: ({ reason }) => void passed.push(reason) }))
      throw new Error(source.input);
    expect(new Set(passed)).toEqual(new Set(['special-file']));
    await expect(readFileLimited(path, { maxBytes: 1000 })).rejects.toThrow(/is a pipe/);
    expect(await isReadOnce(path)).toBe(true);
    expect(await isReadOnce(file)).toBe(false);
  });
});

describe('descriptors and devices', () => {
  /** What a process of its own makes of the inputs, given on a descriptor by a shell. */
  function sources(command: string): { input: string; bytes?: number; code?: string; message?: string }[] {
    const script = join(folder, 'print.mts');
    writeFileSync(
      script,
      `const { expandSources } = await import(${JSON.stringify(join(packageRoot, 'src/media/sources.ts'))});
       const found = [];
       for await (const { input, identity, error } of expandSources(process.argv.slice(2), { limits: { timeoutMs: 5000 } }))
         found.push({ input, bytes: identity?.bytes, code: error?.code, message: error?.message });
       process.stdout.write(JSON.stringify(found));`,
    );
    const env = { ...process.env, FILE: file, RUN: `node --import tsx ${script}` };
    const output = execFileSync('bash', ['-c', command], { env, cwd: packageRoot, encoding: 'utf8' });
    return JSON.parse(output) as ReturnType<typeof sources>;
  }

  it('are read: process substitution, /dev/stdin, a picture for "-"', () => {
    const bytes = picture.length;
    expect(sources('$RUN <(cat "$FILE") <(sleep 0.2; cat "$FILE")')).toMatchObject([{ bytes }, { bytes }]);
    expect(sources('cat "$FILE" | $RUN /dev/stdin')).toMatchObject([{ input: '/dev/stdin', bytes }]);
    expect(sources('$RUN /dev/fd/3 3< "$FILE"')).toMatchObject([{ input: '/dev/fd/3', bytes }]);
    expect(sources('$RUN - < "$FILE"')).toMatchObject([{ input: '<stdin>', bytes }]);
    expect(sources('cat "$FILE" | $RUN -')).toMatchObject([{ input: '<stdin>', bytes }]);
    expect(sources('echo "$FILE" | $RUN -')).toMatchObject([{ input: file, bytes }]);
    expect(sources('head -c 5000 /dev/urandom | $RUN -')).toMatchObject([{ code: 'MEDIA_UNSUPPORTED' }]);
    expect(sources('$RUN - < /')).toMatchObject([{ input: '<stdin>', code: 'MEDIA_UNREADABLE' }]);
  }, 60_000);

  it('say why not', async () => {
    for (const device of ['/dev/zero', '/dev/null'])
      expect((await openSource(device)).error?.message).toMatch(/is a device, not a regular file; name a file/);
    expect((await openSource('/dev/fd/999')).error?.code).toBe('MEDIA_NOT_FOUND');
  });
});
