import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { PerceptualHash } from '../scoring/perceptual-hash.js';
import { decodeImage } from './decode/decode.js';
import { existingName } from './find/same-name.js';
import { readFileLimited } from './image-file.js';
import { DEFAULT_LIMITS } from './limits.js';
import { sniff, SNIFF_BYTES } from './decode/magic.js';
import { padAndResize, type RawPicture } from './resample/resample.js';
import { sampleVideo } from './video/video.js';

export interface Fingerprint {
  readonly kind: 'image' | 'video';
  readonly width: number;
  readonly height: number;
  /** SHA-256 of the file, hexadecimal. */
  readonly sha256: string;
  /** For a clip: of the first frame. Undefined for flat pictures, whose hashes would all match. */
  readonly perceptualHash: PerceptualHash | undefined;
}

const SIDE = 32;
const LOW = 8;
/** cos((2x+1)uπ/64): the low-frequency rows of the discrete cosine transform of 32 values. */
const COSINES = Float64Array.from({ length: LOW * SIDE }, (_, i) =>
  Math.cos(((2 * (i % SIDE) + 1) * Math.floor(i / SIDE) * Math.PI) / (2 * SIDE)),
);

/**
 * Reads and decodes one file. The perceptual hash compares the 8 × 8 lowest frequencies of the grayscale picture at 32
 * × 32 with their median, one bit each. Scaling, recompression and small colour changes preserve most bits.
 * @throws QalignError MEDIA_* for a missing or damaged file
 */
export async function fingerprint(named: string, signal?: AbortSignal): Promise<Fingerprint> {
  const path = await existingName(named);
  const start = await readStart(path);
  const kind = sniff(start).kind === 'video' ? 'video' : 'image';
  if (kind === 'video') return { kind, ...(await firstFrame(path, signal)), sha256: await hashFile(path) };
  const bytes = await readFileLimited(path, DEFAULT_LIMITS, signal);
  const picture = await decodeImage(bytes, DEFAULT_LIMITS, false);
  return {
    kind,
    width: picture.width,
    height: picture.height,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    perceptualHash: hashOf(picture),
  };
}

function hashOf(picture: RawPicture): PerceptualHash | undefined {
  const pixels = padAndResize(picture, SIDE);
  const gray = Float64Array.from(
    { length: SIDE * SIDE },
    (_, i) => 0.299 * pixels[3 * i]! + 0.587 * pixels[3 * i + 1]! + 0.114 * pixels[3 * i + 2]!,
  );
  const rows = new Float64Array(SIDE * LOW);
  for (let y = 0; y < SIDE; y++)
    for (let u = 0; u < LOW; u++)
      for (let x = 0; x < SIDE; x++) rows[y * LOW + u]! += gray[y * SIDE + x]! * COSINES[u * SIDE + x]!;
  const low = new Float64Array(LOW * LOW);
  for (let v = 0; v < LOW; v++)
    for (let u = 0; u < LOW; u++)
      for (let y = 0; y < SIDE; y++) low[v * LOW + u]! += rows[y * LOW + u]! * COSINES[v * SIDE + y]!;
  low[0] = 0; // the mean brightness does not describe the content
  if (Math.max(...low.map(Math.abs)) < SIDE * SIDE * 0.05) return undefined;
  const median = Float64Array.from(low).sort()[(LOW * LOW) / 2]!;
  const words: [number, number] = [0, 0];
  low.forEach((value, bit) => {
    if (value > median) words[bit >> 5]! |= 1 << (bit & 31);
  });
  return [words[0] >>> 0, words[1] >>> 0];
}

async function firstFrame(
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ width: number; height: number; perceptualHash: Fingerprint['perceptualHash'] }> {
  const sample = await sampleVideo(path, { maxFrames: 1, signal });
  for await (const frame of sample.frames)
    return { width: frame.width, height: frame.height, perceptualHash: hashOf(frame) };
  return { width: sample.width, height: sample.height, perceptualHash: undefined };
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function readStart(path: string): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of createReadStream(path, { end: SNIFF_BYTES - 1 })) chunks.push(chunk as Buffer);
  } catch {
    // this call throws the error with the right message for the path
    await readFileLimited(path, DEFAULT_LIMITS);
  }
  return Buffer.concat(chunks);
}
