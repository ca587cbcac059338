import { constants } from 'node:fs';
import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { requireInReach } from '../../base/files/reach.js';
import { sniff, SNIFF_BYTES } from '../decode/magic.js';
import { existingName } from '../find/same-name.js';
import { notRegular, openError, quoted, tooLarge } from '../image-file.js';
import type { MediaLimits } from '../limits.js';
import { pathOf, pathText, type MediaInput } from '../media-input.js';
import { lostPackets } from './continuity.js';
import { isEncrypted } from './encryption.js';

/** A clip in the form that ffmpeg and ffprobe take. */
export interface ClipFile {
  readonly path: string;
  /** Descriptor to pass to the programs that open `path`. */
  readonly fd: number | undefined;
  /** Demuxer of ffmpeg for formats that ffmpeg does not detect reliably by content. */
  readonly demuxer: string | undefined;
  /** Maximum number of pixels of a frame, if it is limited. */
  readonly maxFramePixels: number | undefined;
  /** Returns true if the container marks the pictures as encrypted. For cases that ffmpeg does not report. */
  readonly isEncrypted: () => Promise<boolean>;
  /** Counts the places where a transport stream lacks packets of the element `pid`. Returns 0 for other formats. */
  readonly lostPackets: (pid: number, signal?: AbortSignal) => Promise<number>;
  readonly close: () => Promise<void>;
}

/** Formats without a signature, by the names of `sniff`, and their ffmpeg demuxers. */
const DEMUXERS: Readonly<Record<string, string>> = {
  h264: 'h264',
  hevc: 'hevc',
  m4v: 'm4v',
  obu: 'obu',
  dv: 'dv',
  y4m: 'yuv4mpegpipe',
  'mpeg-ts': 'mpegts',
};

/**
 * Opens the clip once. On Linux the programs get the open file as a descriptor. The file can then not be swapped, and
 * names with any bytes work. Bytes are written to a private file that is deleted while it is open, so that even kill -9
 * leaves no file.
 *
 * @throws QalignError MEDIA_NOT_FOUND, MEDIA_UNREADABLE, MEDIA_TOO_LARGE, MEDIA_CORRUPT (empty)
 */
export async function openClip(input: MediaInput, limits: MediaLimits): Promise<ClipFile> {
  return { ...(await opened(input, limits)), maxFramePixels: limits.maxFramePixels };
}

type OpenedClip = Omit<ClipFile, 'maxFramePixels'>;

async function opened(input: MediaInput, limits: MediaLimits): Promise<OpenedClip> {
  if (input instanceof Uint8Array) return spooled(input, limits);
  const path = typeof input === 'string' ? await existingName(input) : (pathOf(input) as Buffer);
  const { handle, size } = await openRegularFile(path, limits);
  return described(handle, resolve(pathText(path)), size, `${pathText(path)} is empty.`, async () => {});
}

/** Opens a regular file and never blocks, even for a FIFO without a writer. The caller closes it. */
async function openRegularFile(
  path: string | Buffer,
  { maxBytes, within }: MediaLimits,
): Promise<{ handle: FileHandle; size: number }> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = await handle.stat();
    if (!stat.isFile()) throw notRegular(path, stat);
    await requireInReach(handle.fd, path, within);
    if (stat.size > maxBytes) throw tooLarge(quoted(path), stat.size, maxBytes);
    return { handle, size: stat.size };
  } catch (error) {
    await handle?.close();
    throw openError(path, error);
  }
}

async function described(
  handle: FileHandle,
  path: string,
  size: number,
  emptyText: string,
  remove: () => Promise<void>,
): Promise<OpenedClip> {
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= handle.close().finally(remove));
  try {
    if (size === 0) throw new QalignError('MEDIA_CORRUPT', emptyText);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(SNIFF_BYTES), 0, SNIFF_BYTES, 0);
    const { format } = sniff(buffer.subarray(0, bytesRead));
    return {
      ...(process.platform === 'linux' ? { path: '/proc/self/fd/3', fd: handle.fd } : { path, fd: undefined }),
      demuxer: DEMUXERS[format],
      isEncrypted: () => isEncrypted(handle, format, size),
      lostPackets: async (pid, signal) => (format === 'mpeg-ts' ? lostPackets(handle, pid, signal) : 0),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function spooled(bytes: Uint8Array, { maxBytes }: MediaLimits): Promise<OpenedClip> {
  if (bytes.length > maxBytes)
    throw new QalignError(
      'MEDIA_TOO_LARGE',
      `The clip has ${bytes.length} bytes, over the limit of ${maxBytes}; raise maxBytes to read it.`,
    );
  let folder: string | undefined;
  const remove = async (): Promise<void> => {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  };
  let handle: FileHandle | undefined;
  try {
    folder = await mkdtemp(join(tmpdir(), `qalign-${process.pid}-`));
    handle = await open(join(folder, 'clip'), 'wx+', 0o600);
    if (process.platform === 'linux') await remove();
    await handle.writeFile(bytes);
  } catch (error) {
    await handle?.close();
    await remove();
    throw new QalignError(
      'MEDIA_UNREADABLE',
      `The clip cannot be written to ${tmpdir()} (${(error as NodeJS.ErrnoException).code}); free some space there or set TMPDIR.`,
      { cause: error },
    );
  }
  return described(handle, join(folder, 'clip'), bytes.length, 'The clip is empty.', remove);
}
