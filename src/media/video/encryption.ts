import type { FileHandle } from 'node:fs/promises';
import { QalignError } from '../../base/errors.js';

const READ = 1024 ** 2; // bytes from each end of the file, which contain the headers

export const encryptedClip = (): QalignError =>
  new QalignError('MEDIA_ENCRYPTED', 'The clip is encrypted and qalign accepts no keys; decrypt the clip first.');

/** Returns true if the container marks its pictures as encrypted. For files from which ffmpeg reads no packet. */
export async function isEncrypted(handle: FileHandle, format: string, size: number): Promise<boolean> {
  if (format === 'mp4' || format === 'mov') {
    const ends = [await readAt(handle, 0), await readAt(handle, Math.max(0, size - READ))];
    return ends.some(hasEncryptedEntry);
  }
  return format === 'mpeg-ts' && isScrambled(await readAt(handle, 0));
}

async function readAt(handle: FileHandle, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(READ), 0, READ, position);
  return buffer.subarray(0, bytesRead);
}

/** ISO base media (common encryption): the sample entry is `encv`, and `sinf` contains the original type. */
export function hasEncryptedEntry(bytes: Buffer): boolean {
  return bytes.includes('encv', 0, 'latin1') && bytes.includes('sinf', 0, 'latin1');
}

/** MPEG-TS: most packets with a payload have their scrambling control bits set. */
export function isScrambled(bytes: Uint8Array): boolean {
  const starts = [188, 192, 204].flatMap((step) => Array.from({ length: step }, (_, from) => ({ step, from })));
  const found = starts.find(({ step, from }) => {
    for (let k = 0; k < 8; k++) if (bytes[from + k * step] !== 0x47) return false;
    return true;
  });
  if (found === undefined) return false;
  let [scrambled, payloads] = [0, 0];
  for (let at = found.from; at + 3 < bytes.length; at += found.step) {
    if (bytes[at] !== 0x47) continue;
    const pid = (((bytes[at + 1] ?? 0) & 0x1f) << 8) | (bytes[at + 2] ?? 0);
    const flags = bytes[at + 3] ?? 0;
    if (pid === 0 || pid === 0x1fff || (flags & 0x10) === 0) continue;
    payloads += 1;
    if ((flags & 0xc0) !== 0) scrambled += 1;
  }
  return scrambled * 2 > payloads;
}
