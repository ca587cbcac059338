import { createHash } from 'node:crypto';
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { describeFfmpeg, findFfmpeg } from '../../../src/media/video/tools/ffmpeg.js';
import { prepareFrame } from '../../../src/media/image.js';
import { createPreparer } from '../../../src/media/preparer.js';
import { sampleVideo, type SampleVideoOptions } from '../../../src/media/video/video.js';
import { packageRoot } from '../../../src/base/package-root.js';

const FIXTURES = join(packageRoot, 'test/fixtures/golden/frames');
const SHARED = join(packageRoot, '../shared/golden/frames');
interface Clip {
  file: string;
  indices: number[];
  warns: boolean;
  frames: { sha256: string; size: [number, number] }[];
}
interface Bad {
  file: string;
  accept: string[];
}
const { clips, bad } = JSON.parse(readFileSync(join(FIXTURES, 'expected.json'), 'utf8')) as {
  clips: Clip[];
  bad: Bad[];
};

async function sample(input: string | Uint8Array, options?: SampleVideoOptions) {
  const { indices, warnings, frameRule, frames: source } = await sampleVideo(input, options);
  const frames: Clip['frames'] = [];
  for await (const { width, height, data } of source)
    frames.push({ sha256: createHash('sha256').update(data).digest('hex'), size: [width, height] });
  return { indices, warnings, frameRule, frames };
}

async function matches(path: string, clip: Clip, options?: SampleVideoOptions): Promise<void> {
  const { indices, warnings, frames } = await sample(path, options);
  expect(indices).toEqual(clip.indices);
  expect(frames).toEqual(clip.frames);
  expect(warnings.length > 0, warnings.join('; ')).toBe(clip.warns);
}

/**
 * Clips with a varying rate, where int(fps · i) does not select the pictures shown at each second. p15 has 30 pictures
 * per second, then 10. The recorder of p38 dropped pictures, but its average rate of 15 counts them.
 */
const BY_TIME: Readonly<Record<string, readonly number[]>> = {
  'clips/p15_vfr_30_then_10.mp4': [0, 30, 60, 70, 80],
  'clips/p38_avi_dropped_frames.avi': [0, 15, 23, 28, 33, 38, 43],
};

async function isAccepted(path: string, accept: string[]): Promise<void> {
  const outcome = await sample(path).then(
    ({ warnings }) => (warnings.length > 0 ? 'scored with a warning' : 'scored'),
    (error: { code?: string }) => {
      expect(error.code).toMatch(/^(MEDIA|FFMPEG)_/);
      return 'error';
    },
  );
  expect(accept).toContain(outcome);
}

/** An environment with only ffmpeg: FFMPEG_BIN, and an empty PATH. */
async function withoutFfprobe(check: () => Promise<void>): Promise<void> {
  const { PATH, FFMPEG_BIN, FFPROBE_BIN } = process.env;
  process.env['FFMPEG_BIN'] = findFfmpeg().ffmpeg ?? '';
  process.env['PATH'] = '/nowhere';
  delete process.env['FFPROBE_BIN'];
  expect(findFfmpeg().ffprobe).toBeUndefined();
  await check().finally(() => {
    for (const [name, value] of Object.entries({ PATH, FFMPEG_BIN, FFPROBE_BIN })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
}

describe('golden clips of the repository', () => {
  it.each(clips)('$file without ffprobe', (clip) =>
    withoutFfprobe(() => matches(join(FIXTURES, clip.file), { ...clip, warns: true })),
  );
  it.each(bad)('$file without ffprobe ends in an accepted way', ({ file, accept }) =>
    withoutFfprobe(() =>
      isAccepted(join(FIXTURES, file), [...accept, ...(accept.includes('scored') ? ['scored with a warning'] : [])]),
    ),
  );
  it.each(clips)('$file', (clip) => matches(join(FIXTURES, clip.file), clip));
  it.each(bad)('$file ends as it may', ({ file, accept }) => isAccepted(join(FIXTURES, file), accept));
});

const complete = existsSync(SHARED);
if (!complete) console.warn('NOT RUN: all golden clips; needs ../shared/golden/frames');
describe.skipIf(!complete)('all golden clips', () => {
  interface Product {
    indices: number[];
    warnings: string[];
    size: [number, number];
    frames: { sha256: string; size?: [number, number] }[];
    accept: string[];
  }
  const all = complete
    ? (JSON.parse(readFileSync(join(SHARED, 'expected.json'), 'utf8')) as {
        clips: { file: string; product: Product }[];
        bad: { file: string; product: Product }[];
      })
    : { clips: [], bad: [] };
  const published = ({ file, product }: { file: string; product: Product }): Clip => ({
    file,
    indices: product.indices,
    warns: product.warnings.length > 0,
    frames: product.frames.map((frame) => ({ sha256: frame.sha256, size: frame.size ?? product.size })),
  });
  const steady = all.clips.filter(({ file }) => BY_TIME[file] === undefined);
  const varying = all.clips.filter(({ file }) => BY_TIME[file] !== undefined);
  it.each(steady)('$file', (clip) => matches(join(SHARED, clip.file), published(clip)));
  it.each(steady)('$file without ffprobe', (clip) =>
    withoutFfprobe(() => matches(join(SHARED, clip.file), { ...published(clip), warns: true })),
  );
  it.each(varying)('$file goes by time, or by the published rule on request', async (clip) => {
    const byTime = await sample(join(SHARED, clip.file));
    expect(byTime).toMatchObject({ indices: BY_TIME[clip.file], frameRule: 'time', warnings: [] });
    expect(byTime.frames).toHaveLength(byTime.indices.length);
    await withoutFfprobe(async () => {
      const { frames, frameRule } = await sample(join(SHARED, clip.file));
      expect({ frames, frameRule }).toEqual({ frames: byTime.frames, frameRule: 'time' });
    });
    await matches(join(SHARED, clip.file), published(clip), { frameRule: 'published' });
  });
  it.each(all.bad)('$file ends as it may', ({ file, product }) => isAccepted(join(SHARED, file), product.accept));
});

describe('sampling', () => {
  const clip = join(FIXTURES, 'p25_fullrange_bt709_60.mp4');

  it('an AVI whose recorder dropped pictures is complete, a clip that is cut off is not', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dropped-'));
    try {
      const whole = join(folder, 'whole.avi');
      // every second picture is an empty chunk, which the index counts and ffprobe does not
      execFileSync(findFfmpeg().ffmpeg ?? '', [
        '-v',
        'error',
        '-f',
        'lavfi',
        '-i',
        'testsrc2=size=64x48:rate=10:duration=4',
        '-vf',
        'select=not(mod(n\\,2))',
        '-fps_mode',
        'passthrough',
        '-c:v',
        'mjpeg',
        whole,
      ]);
      expect((await sample(whole)).warnings).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('bytes give the frames of the file, and leave no files', async () => {
    expect(await sample(await readFile(clip))).toEqual(await sample(clip));
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith(`qalign-${process.pid}-`))).toEqual([]);
  });

  it('bytes that are not read, or cannot be opened, leave no file and no open descriptor', async () => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const bytes = await readFile(clip);
    const before = open();
    await (await sampleVideo(bytes)).frames[Symbol.asyncIterator]().return?.();
    await expect(sampleVideo(bytes.subarray(0, 200))).rejects.toMatchObject({ code: 'MEDIA_CORRUPT' });
    await expect(sampleVideo(new Uint8Array(0))).rejects.toMatchObject({ code: 'MEDIA_CORRUPT' });
    await expect.poll(open).toBeLessThanOrEqual(before);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith(`qalign-${process.pid}-`))).toEqual([]);
  });

  it('takes names that look like options, patterns and protocols literally', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'names-'));
    try {
      const { frames } = await sample(clip);
      for (const name of ['-i.mp4', 'a %03d.mp4', 'concat:a|b.mp4', 'line\nbreak é.mp4', "quote'.mp4"]) {
        copyFileSync(clip, join(folder, name));
        expect((await sample(join(folder, name))).frames, name).toEqual(frames);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('does not count the time of its reader', async () => {
    const taken: number[] = [];
    for await (const { index } of (await sampleVideo(clip, { fps: 10, limits: { timeoutMs: 1500 } })).frames) {
      if (taken.length === 0) await new Promise((resolve) => setTimeout(resolve, 2500));
      taken.push(index);
    }
    expect(taken.length).toBeGreaterThan(10);
  });

  it('accepts only valid numbers', async () => {
    for (const options of [{ fps: 0 }, { fps: -1 }, { fps: NaN }, { maxFrames: 0 }, { maxFrames: 1.5 }])
      await expect(sampleVideo(clip, options)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(sampleVideo(clip, { fps: 1e12 })).rejects.toMatchObject({ code: 'MEDIA_TOO_LARGE' });
  });

  it('fps 2 includes the frames of fps 1, and maxFrames selects a subset', async () => {
    const one = await sample(clip);
    const two = await sample(clip, { fps: 2 });
    const few = await sample(clip, { fps: 2, maxFrames: 2 });
    expect(two.indices).toEqual(expect.arrayContaining(one.indices));
    expect(two.frames).toEqual(expect.arrayContaining(one.frames));
    expect(few.frames).toHaveLength(2);
    expect(two.frames).toEqual(expect.arrayContaining(few.frames));
  });

  it('prepares frames like pictures, packed', async () => {
    const preparer = createPreparer();
    const video = await preparer.prepare({ media: clip, kind: 'video' }, { size: 56 });
    await preparer.close();
    const { frames } = await sampleVideo(clip);
    let at = 0;
    for await (const frame of frames)
      expect(
        Buffer.compare(
          video.data.subarray(at++ * 56 * 56 * 3, at * 56 * 56 * 3),
          prepareFrame(frame, { size: 56 }).data,
        ),
      ).toBe(0);
    expect(at).toBe(video.frames);
  });

  it('stops ffmpeg when the reader ends or cancels', async () => {
    const children = (): string[] =>
      readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
        .trim()
        .split(' ')
        .filter((pid) => pid !== '' && readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('ffmpeg'));
    const left = await sampleVideo(clip);
    for await (const _ of left.frames) break;
    const stop = new AbortController();
    const cancelled = await sampleVideo(clip, { signal: stop.signal });
    stop.abort();
    await expect(
      (async () => {
        for await (const _ of cancelled.frames) {
          /* until it throws */
        }
      })(),
    ).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect.poll(children).toEqual([]);
  });

  it('limits pixels and frames', async () => {
    await expect(sampleVideo(clip, { limits: { maxPixels: 100 } })).rejects.toMatchObject({ code: 'MEDIA_TOO_LARGE' });
    await expect(sampleVideo(clip, { limits: { maxFrames: 1 } })).rejects.toMatchObject({ code: 'MEDIA_TOO_LARGE' });
    await expect(sampleVideo(clip, { limits: { maxBytes: 10 } })).rejects.toMatchObject({ code: 'MEDIA_TOO_LARGE' });
  });

  describe('programs', () => {
    const before = { ...process.env };
    afterEach(
      () =>
        void Object.assign(
          process.env,
          { PATH: before['PATH'] },
          before['FFMPEG_BIN'] === undefined ? {} : { FFMPEG_BIN: before['FFMPEG_BIN'] },
        ),
    );

    const withProgram = async (script: string, check: () => Promise<void>): Promise<void> => {
      const folder = mkdtempSync(join(tmpdir(), 'program-'));
      writeFileSync(join(folder, 'ffmpeg'), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, 'ffmpeg'), 0o755);
      process.env['FFMPEG_BIN'] = join(folder, 'ffmpeg');
      await check().finally(() => {
        delete process.env['FFMPEG_BIN'];
        rmSync(folder, { recursive: true });
      });
    };

    it('are described with version and origin', async () => {
      const real = findFfmpeg().ffmpeg;
      expect(await describeFfmpeg({ ...process.env, FFMPEG_BIN: real })).toMatchObject({
        ffmpeg: { path: real, origin: 'FFMPEG_BIN', version: expect.stringMatching(/\d/) as string },
      });
      expect(await describeFfmpeg({ PATH: '/nowhere', FFMPEG_BIN: '/nowhere/ffmpeg' })).toEqual({
        ffmpeg: undefined,
        ffprobe: undefined,
      });
    });

    it('one that crashes is distinguished from a damaged clip', async () => {
      await withProgram('kill -SEGV $$', () =>
        expect(sample(clip)).rejects.toMatchObject({
          code: 'FFMPEG_CRASHED',
          message: expect.stringContaining('FFMPEG_BIN') as string,
        }),
      );
      await withProgram('exit 139', () => expect(sample(clip)).rejects.toMatchObject({ code: 'FFMPEG_CRASHED' }));
      await withProgram('echo Invalid data >&2; exit 183', () =>
        expect(sample(clip)).rejects.toMatchObject({ code: 'MEDIA_CORRUPT' }),
      );
    });

    it('one that hangs is killed', async () => {
      await withProgram('exec sleep 60', () =>
        expect(sample(clip, { limits: { timeoutMs: 1000 } })).rejects.toMatchObject({ code: 'MEDIA_TIMEOUT' }),
      );
    });

    it('one that supports only -vsync gets that option', async () => {
      const { frames } = await sample(clip);
      const real = findFfmpeg().ffmpeg ?? '';
      await withProgram(
        `case " $* " in *" -fps_mode "*) echo "Unrecognized option 'fps_mode'." >&2; exit 1;; esac; exec ${real} "$@"`,
        async () => expect((await sample(clip)).frames).toEqual(frames),
      );
    });

    it('ends when Node is killed, and leaves no copy of the bytes', { timeout: 60_000 }, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'killed-'));
      try {
        // two reads of a clip whose frames fill the pipe many times: ffmpeg waits for its reader when that dies
        const script = `import { readFileSync } from 'node:fs'; const { sampleVideo } = await import(${JSON.stringify(join(packageRoot, 'src/media/video/video.ts'))}); const { frames } = await sampleVideo(readFileSync(${JSON.stringify(clip)}), { fps: 60 }); await frames[Symbol.asyncIterator]().next(); console.log('reading'); setInterval(() => {}, 1000);`;
        writeFileSync(join(folder, 'reader.mts'), script);
        const reader = spawn(process.execPath, ['--import', 'tsx', join(folder, 'reader.mts')], {
          cwd: packageRoot,
          env: { ...process.env, TMPDIR: folder },
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        await new Promise((resolve) => reader.stdout.once('data', resolve));
        const children = readFileSync(`/proc/${reader.pid}/task/${reader.pid}/children`, 'utf8')
          .trim()
          .split(' ')
          .filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('ffmpeg'));
        expect(children).toHaveLength(1);
        reader.kill('SIGKILL');
        await expect
          .poll(
            () =>
              children.filter(
                (pid) =>
                  existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')),
              ),
            { timeout: 10_000 },
          )
          .toEqual([]);
        expect(readdirSync(folder).filter((name) => name.startsWith('qalign-'))).toEqual([]);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });

    it('none: one error that names the searched places', async () => {
      process.env['PATH'] = '/nowhere';
      await expect(sampleVideo(clip)).rejects.toMatchObject({
        code: 'FFMPEG_NOT_FOUND',
        message: expect.stringContaining('FFMPEG_BIN') as string,
      });
    });
  });
});
