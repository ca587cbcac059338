/** Clips whose pictures encode their time, so that the pixels of a returned frame show its second. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import type { MediaInput } from '../../../src/media/media-input.js';
import { findFfmpeg } from '../../../src/media/video/tools/ffmpeg.js';
import { sampleVideo, type SampleVideoOptions } from '../../../src/media/video/video.js';

const CASES = join(packageRoot, 'test/fixtures/cases');
const folder = mkdtempSync(join(tmpdir(), 'time-stamps-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
const ffmpeg = (...args: string[]): Buffer =>
  execFileSync(findFfmpeg().ffmpeg ?? '', ['-v', 'error', '-y', ...args], { maxBuffer: 1e9 });

const digest = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
async function sample(input: MediaInput, options?: SampleVideoOptions) {
  const { frames: source, ...rest } = await sampleVideo(input, options);
  const frames: string[] = [];
  const shades: number[] = [];
  for await (const { data } of source) {
    frames.push(digest(data));
    shades.push(data[3 * 1000] ?? 0);
  }
  return { ...rest, frames, shades };
}
/** The frames at these stamps, found independently: all are decoded, and the wanted ones selected. */
function decoded(file: string, width: number, height: number): string[] {
  const all = ffmpeg(
    ...['-i', file, '-map', '0:v', '-vf', `scale=${width}:${height}:flags=bilinear,format=rgb24`],
    ...['-sws_flags', 'bilinear', '-fps_mode', 'passthrough', '-f', 'rawvideo', '-'],
  );
  const size = width * height * 3;
  return Array.from({ length: all.length / size }, (_, i) => digest(all.subarray(i * size, (i + 1) * size)));
}
/** Gray pictures, each 7 levels lighter than the one of the second before; `keep` chooses among 20 a second. */
const shadeOf = (second: number): number => ((4 + 7 * Math.floor(second)) * 255) / 219;
const grays = (seconds: number, keep = '1'): string[] => [
  ...['-f', 'lavfi', '-i', `color=black:size=64x48:rate=20:duration=${seconds},format=yuv420p`],
  ...['-vf', `select='${keep}',geq=lum='20+7*floor(T+0.001)':cb=128:cr=128`],
  ...['-fps_mode', 'passthrough'],
];
const pictures = (rate: number, seconds: number): string[] => [
  '-f',
  'lavfi',
  '-i',
  `testsrc2=size=96x64:rate=${rate}:duration=${seconds}`,
];
const isNear = (shades: readonly number[], seconds: readonly number[]): void => {
  expect(shades).toHaveLength(seconds.length);
  shades.forEach((shade, i) => expect(Math.abs(shade - shadeOf(seconds[i] ?? 0)), `frame ${i}`).toBeLessThan(4));
};
const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i);

describe('the cases', () => {
  it('a recording gives the same frames from WebM and MP4, one for each second shown', async () => {
    const webm = await sample(join(CASES, 'recording.webm'));
    const mp4 = await sample(join(CASES, 'recording_same_packets.mp4'));
    expect(webm).toMatchObject({ frameRule: 'time', warnings: [], indices: [0, 60, 120, ...range(26, 180)] });
    expect(webm.frames).toEqual(mp4.frames);
    expect(mp4).toMatchObject({ frameRule: 'time', warnings: [], indices: webm.indices });
    const all = decoded(join(CASES, 'recording.webm'), 160, 112);
    expect(webm.frames).toEqual(webm.indices.map((index) => all[index]));
    const published = await sample(join(CASES, 'recording.webm'), { frameRule: 'published' });
    expect(published).toMatchObject({ frameRule: 'published', indices: [0, 60, 120] });
  });

  it('an encrypted clip gets a clear error', async () => {
    await expect(sample(join(CASES, 'encrypted.mp4'))).rejects.toMatchObject({
      code: 'MEDIA_ENCRYPTED',
      message: expect.stringMatching(/encrypted and qalign accepts no keys; decrypt the clip first/) as string,
    });
  });

  it('after a damaged picture the others keep their seconds', async () => {
    const found = await sample(join(CASES, 'damaged_first_picture.mp4'));
    const { indices, frames, warnings } = found;
    expect(indices).toEqual([0, 25, 50]);
    expect(frames).toHaveLength(3);
    expect(warnings[0]).toBe('1 of 3 frames are damaged: second 0');
    const log = decoded(join(CASES, 'damaged_first_picture.mp4'), found.width, found.height);
    expect(log).toHaveLength(53); // of 75: counting would select pictures 22 later
    expect(frames.slice(1)).toEqual([log[3], log[28]]);
  });

  it.each([
    ['tiny.y4m', 'published'],
    ['tiny.h264', 'counted'],
    ['capture_unaligned.mpegts', 'published'],
  ])('%s gives 2 frames', async (file, frameRule) => {
    const found = await sample(join(CASES, file));
    expect(found).toMatchObject({ frameRule, warnings: [] });
    expect(found.frames).toHaveLength(2);
    expect(await sample(readFileSync(join(CASES, file)))).toEqual(found);
  });
});

describe('generated clips', () => {
  // 20 pictures in each of the first 2 seconds, then one at 2.3, 5.3, 8.3 …
  const STILL = 'lt(t,2)+eq(mod(n,60),46)';
  const SHOWN = [0, 1, 1, 2, 2, 2, 5, 5, 5, 8, 8];

  it.each([
    ['still.mp4', ['-c:v', 'libx264', '-bf', '2']],
    ['still.mkv', ['-c:v', 'libx264', '-bf', '2']],
    ['still.flv', ['-c:v', 'flv', '-q:v', '2']],
    ['still.ts', ['-c:v', 'libx264', '-bf', '2']],
    ['still.webm', ['-c:v', 'libvpx', '-auto-alt-ref', '1', '-lag-in-frames', '16', '-b:v', '1M']],
    ['still.mov', ['-c:v', 'mjpeg', '-q:v', '2']],
  ])('a mostly still screen: %s', async (name, codec) => {
    ffmpeg(...grays(12, STILL), ...codec, at(name));
    const { frameRule, shades, warnings, indices } = await sample(at(name));
    expect({ frameRule, warnings }).toEqual({ frameRule: 'time', warnings: [] });
    isNear(shades.slice(0, SHOWN.length), SHOWN.slice(0, shades.length));
    expect(shades.length).toBeGreaterThanOrEqual(8); // the last picture's duration is not in every file
    const twice = await sample(at(name), { fps: 2, maxFrames: 5 });
    expect(twice.frames).toHaveLength(5);
    expect(indices[0]).toBe(0);
  });

  it('lost pictures leave their second empty, and are named', async () => {
    ffmpeg(...grays(8), '-c:v', 'mjpeg', '-q:v', '2', at('whole.mov'));
    const bytes = readFileSync(at('whole.mov'));
    const starts: number[] = [];
    for (let from = bytes.indexOf('\xff\xd8\xff', 0, 'latin1'); from >= 0;) {
      starts.push(from);
      from = bytes.indexOf('\xff\xd8\xff', from + 3, 'latin1');
    }
    expect(starts).toHaveLength(160);
    const lose = (...pictures: number[]): Buffer => {
      const damaged = Buffer.from(bytes);
      for (const picture of pictures) damaged.fill(0, starts[picture], (starts[picture] ?? 0) + 200);
      return damaged;
    };
    const some = await sample(lose(50, 51, 52, 60, 120));
    isNear(some.shades, [0, 1, 2, 4, 5, 7]);
    expect(some.warnings[0]).toBe('only 6 of 8 frames could be decoded; missing: seconds 3, 6');
    expect(some.indices).toHaveLength(8);
    await expect(sample(lose(0, 20, 40, 80, 100))).rejects.toMatchObject({
      code: 'MEDIA_CORRUPT',
      message: expect.stringContaining('More than half of the 8 frames') as string,
    });
  });

  it('lost packets of a transport stream are reported, also if whole pictures are lost', async () => {
    const whole = ffmpeg(...grays(6), '-c:v', 'libx264', '-bf', '2', '-g', '100', '-f', 'mpegts', '-');
    expect((await sample(whole)).warnings).toEqual([]);
    const middle = Math.floor(whole.length / 376) * 188;
    const { warnings, shades } = await sample(
      Buffer.concat([whole.subarray(0, middle), whole.subarray(middle + 1880)]),
    );
    expect(warnings[0]).toMatch(/^the transport stream is broken or lacks packets in 1 place;/);
    expect(shades.length).toBeGreaterThan(4);
  });

  it('a still screen before the last picture has the same length in a transport stream', async () => {
    const still = ffmpeg(...grays(9, 'lt(t,3)+eq(n,160)'), '-c:v', 'libx264', '-bf', '2', '-f', 'mpegts', '-');
    const { frameRule, shades } = await sample(still);
    expect(frameRule).toBe('time');
    isNear(shades, [0, 1, 2, 2, 2, 2, 2, 2]);
  });

  it('a rate that the file does not state is reported only if it is used', async () => {
    const steady = ffmpeg(...grays(3), '-c:v', 'libvpx', '-f', 'ivf', '-');
    expect((await sample(steady)).warnings).toEqual([
      'the clip has no frame rate; 20.000 was computed from its time stamps',
    ]);
    const varied = ffmpeg(...grays(9, 'lt(t,1)+not(mod(n,40))'), '-c:v', 'libvpx', '-f', 'ivf', '-');
    expect(await sample(varied)).toMatchObject({ frameRule: 'time', warnings: [] });
  });

  it('a codec that ffmpeg does not know is named as such', async () => {
    const clip = ffmpeg(...grays(1), '-c:v', 'ffv1', '-f', 'avi', '-');
    for (let at = clip.indexOf('FFV1'); at >= 0; at = clip.indexOf('FFV1', at)) clip.write('QZX9', at);
    await expect(sample(clip)).rejects.toThrow(/no decoder/);
  });

  it('concealed pictures are named', async () => {
    ffmpeg(...pictures(20, 6), '-c:v', 'mpeg4', '-q:v', '2', '-g', '10', at('mpeg4.avi'));
    const bytes = readFileSync(at('mpeg4.avi'));
    const starts: number[] = [];
    for (let from = bytes.indexOf('00dc'); from >= 0; from = bytes.indexOf('00dc', from + 4)) starts.push(from + 8);
    const picture = (starts[41] ?? 0) + 100; // the header holds one more such name; this is the picture of second 2
    for (let byte = picture; byte < picture + 300; byte++) bytes[byte] = (byte * 37) & 255;
    const { warnings, frames } = await sample(bytes);
    expect(frames).toHaveLength(6);
    expect(warnings).toContain('1 of 6 frames are damaged: second 2');
  });

  it.each([
    ['h264.mp4', ['-c:v', 'libx264']],
    ['hevc.mp4', ['-c:v', 'libx265', '-x265-params', 'log-level=none']],
    ['vp9.mp4', ['-c:v', 'libvpx-vp9']],
    ['av1.mp4', ['-c:v', 'libaom-av1', '-cpu-used', '8']],
    ['fragments.mp4', ['-c:v', 'libx264', '-movflags', 'frag_keyframe+empty_moov']],
  ])('encrypted %s gets a clear error', async (name, codec) => {
    const key = ['-encryption_scheme', 'cenc-aes-ctr', '-encryption_key', '01'.repeat(16)];
    ffmpeg(...grays(2), ...codec, ...key, '-encryption_kid', '02'.repeat(16), at(name));
    await expect(sample(at(name))).rejects.toMatchObject({ code: 'MEDIA_ENCRYPTED' });
  });

  it('a WebM with encrypted content gets a clear error', async () => {
    ffmpeg(...grays(2), '-c:v', 'libvpx', '-metadata:s:v', `title=${'x'.repeat(29)}`, at('named.webm'));
    const bytes = readFileSync(at('named.webm'));
    const name = bytes.indexOf(Buffer.from([0x53, 0x6e, 0x80 | 29]));
    const keyId = [0x47, 0xe2, 0x80 | 10, ...range(10)];
    const algorithm = [0x47, 0xe1, 0x81, 5];
    const encryption = [0x50, 0x35, 0x80 | (keyId.length + algorithm.length), ...algorithm, ...keyId];
    const encoding = [0x50, 0x33, 0x81, 1, ...encryption];
    const padded = [0x62, 0x40, 0x80 | (29 - 3), ...encoding, 0xec, 0x80, ...Array<number>(29).fill(0)].slice(0, 29);
    padded[2] = 0x80 | encoding.length;
    expect(name).toBeGreaterThan(0);
    bytes.set([0x6d, 0x80, 0x80 | 29, ...padded], name);
    await expect(sample(bytes)).rejects.toMatchObject({ code: 'MEDIA_ENCRYPTED' });
  });

  it.each([
    ['raw.h265', ['-c:v', 'libx265', '-x265-params', 'log-level=none', '-f', 'hevc'], 'counted'],
    ['raw.m4v', ['-c:v', 'mpeg4', '-f', 'm4v'], 'counted'],
    ['raw.m2v', ['-c:v', 'mpeg2video', '-f', 'mpeg2video'], 'counted'],
    ['raw.ivf', ['-c:v', 'libvpx'], 'published'],
    ['raw.nut', ['-c:v', 'libx264'], 'published'],
    ['ten.y4m', ['-pix_fmt', 'yuv420p10le', '-strict', '-1', '-f', 'yuv4mpegpipe'], 'published'],
    ['system.mpg', ['-c:v', 'mpeg2video', '-f', 'mpeg'], 'published'],
  ])('%s is read under any name', async (name, codec, frameRule) => {
    ffmpeg(...pictures(25, 3), ...codec, at(name));
    renameSync(at(name), at('clip'));
    const { frameRule: rule, frames } = await sample(at('clip'));
    expect({ rule, frames: frames.length }).toEqual({ rule: frameRule, frames: 3 });
  });

  it('a stream without a rate is counted at 25 per second, with a warning', async () => {
    ffmpeg(...pictures(10, 6), '-c:v', 'libaom-av1', '-cpu-used', '8', at('a.obu'));
    const { warnings, indices } = await sample(at('a.obu'));
    expect(indices).toEqual([0, 25]);
    expect(warnings).toEqual(['the stream has no frame rate; 25 pictures per second were assumed']);
  });

  it('joined recordings are counted, with a warning', async () => {
    ffmpeg(...pictures(25, 3), '-c:v', 'mpeg2video', '-q:v', '2', at('part.ts'));
    writeFileSync(at('joined.ts'), Buffer.concat([readFileSync(at('part.ts')), readFileSync(at('part.ts'))]));
    const { frameRule, frames, warnings } = await sample(at('joined.ts'));
    expect({ frameRule, frames: frames.length }).toEqual({ frameRule: 'counted', frames: 6 });
    expect(warnings[0]).toMatch(/time stamps of the clip jump/);
  });

  it('thousands of frames are requested at once', { timeout: 60_000 }, async () => {
    const source = 'color=black:size=16x16:rate=2:duration=2500';
    ffmpeg('-f', 'lavfi', '-i', source, '-c:v', 'mpeg4', '-g', '100', at('long.mp4'));
    const { frames, warnings } = await sample(at('long.mp4'), { fps: 2, limits: { timeoutMs: 5000 } });
    expect(frames).toHaveLength(5000);
    expect(warnings).toEqual([]);
  });

  it('names of any bytes are read, and files that are not regular are refused', async () => {
    const path = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe, 0x2e])]);
    writeFileSync(path, readFileSync(join(CASES, 'tiny.h264')));
    expect((await sample({ path })).frames).toEqual((await sample(join(CASES, 'tiny.h264'))).frames);
    execFileSync('mkfifo', [at('pipe')]);
    await expect(sample(at('pipe'))).rejects.toMatchObject({ code: 'MEDIA_UNREADABLE' });
    await expect(sample(folder)).rejects.toMatchObject({ code: 'MEDIA_UNREADABLE' });
    await expect(sample(at('absent'))).rejects.toMatchObject({ code: 'MEDIA_NOT_FOUND' });
  });
});
