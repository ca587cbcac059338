import sharp from 'sharp';
import { congruentialBytes } from '../base/random.js';

/**
 * Creates JPEGs of 1024 × 768 for benchmarks. Their detail is close to that of photographs (about 200 kB each): smooth
 * colour fields with fine grain. Quality is 90, subsampling 4:2:0. Every call returns the same pictures.
 */
export async function makeBenchPictures(count: number): Promise<Uint8Array[]> {
  const random = congruentialBytes(12345);
  const pictures: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const coarse = Uint8Array.from({ length: 64 * 48 * 3 }, random);
    const fields = await sharp(coarse, { raw: { width: 64, height: 48, channels: 3 } })
      .resize(1024, 768, { kernel: 'cubic' })
      .raw()
      .toBuffer();
    const grained = fields.map((value) => Math.max(0, Math.min(255, value + (random() - 128) / 14)));
    pictures.push(
      await sharp(grained, { raw: { width: 1024, height: 768, channels: 3 } })
        .jpeg({ quality: 90 })
        .toBuffer(),
    );
  }
  return pictures;
}
