/** The private folder of the socket of a bridge. Creates it and removes the folders of dead processes. */
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { QalignError } from './qalign-error.js';

/** sun_path has 108 bytes, the last of them NUL. */
const LONGEST_PATH = 107;
const SOCKET = 'bridge';
/**
 * A file with the id of the kernel. Only on the same kernel does connecting to a socket show whether it has a listener.
 */
const KERNEL = 'kernel';
const NAME = /^qalign-\d+-\w{6}$/;
/** Younger folders are not checked, because their owner can be between mkdir, bind and listen. */
const YOUNG_MS = 10_000;

export const socketIn = (folder: string): string => join(folder, SOCKET);

/**
 * Creates a folder with mode 0700 in $XDG_RUNTIME_DIR if that is private, otherwise in the temporary folder. @throws
 * QalignError OUTPUT_UNWRITABLE
 */
export function makeSocketFolder(): string {
  const roots = roomyRoots();
  let failure: Error | undefined;
  for (const root of roots) {
    try {
      const folder = mkdtempSync(join(root, `qalign-${process.pid}-`));
      fill(folder);
      return folder;
    } catch (error) {
      failure = error as Error;
    }
  }
  throw new QalignError(
    'OUTPUT_UNWRITABLE',
    `A folder for the socket of the workers cannot be created in ${roots.join(' or ')} (${failure?.message}); set TMPDIR to a writable folder.`,
    { cause: failure },
  );
}

/** Returns true if the folder can be created, as starting a worker requires. Creates and removes one. */
export function canMakeSocketFolder(): boolean {
  try {
    removeFolder(makeSocketFolder());
    return true;
  } catch {
    return false;
  }
}

/** Creates the folder again under its old name, which workers already have. Returns false if the name is taken. */
export function remakeSocketFolder(folder: string): boolean {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch {
    if (!isPrivate(folder)) return false;
  }
  try {
    fill(folder);
    return true;
  } catch {
    return false;
  }
}

/** Identifies a socket file, to detect a later file with the same name. Undefined without a file. */
export function socketIdentity(folder: string): string | undefined {
  try {
    const { dev, ino } = lstatSync(socketIn(folder));
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

/**
 * Removes the folders of this user whose socket has no listener. Pids are not used, because every pid of another PID
 * namespace looks dead.
 */
export async function sweepSocketFolders(now = Date.now()): Promise<void> {
  const folders = roots().flatMap((root) => listed(root).map((name) => join(root, name)));
  await Promise.all(folders.map(async (folder) => (await isStale(folder, now)) && removeFolder(folder)));
}

async function isStale(folder: string, now: number): Promise<boolean> {
  if (!isPrivate(folder) || kernelOf(folder) !== thisKernel()) return false;
  if (now - lstatSync(folder).mtimeMs < YOUNG_MS) return false;
  const code = await connectFailure(socketIn(folder));
  return code === 'ECONNREFUSED' || code === 'ENOENT';
}

function connectFailure(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => (socket.destroy(), resolve(undefined)));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
}

/** Removes only the files of a bridge. A folder with other files stays. */
function removeFolder(folder: string): void {
  try {
    for (const name of [SOCKET, KERNEL]) rmSync(join(folder, name), { force: true });
    rmdirSync(folder);
  } catch {
    // another process removed it first, or it contains other files
  }
}

function fill(folder: string): void {
  writeFileSync(join(folder, KERNEL), thisKernel(), { mode: 0o600 });
}

function kernelOf(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, KERNEL), 'utf8');
  } catch {
    return undefined;
  }
}

/** Returns an id that is equal in all containers on one machine until it reboots. */
function thisKernel(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return hostname();
  }
}

/** Returns true for a directory of this user that no other user can enter. */
function isPrivate(folder: string): boolean {
  try {
    const { mode, uid } = lstatSync(folder);
    return (mode & 0o170_077) === 0o040_000 && uid === (process.getuid?.() ?? uid);
  } catch {
    return false;
  }
}

function roots(): string[] {
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const own = runtime !== undefined && runtime !== '' && isPrivate(runtime) ? [runtime] : [];
  return [...new Set([...own, tmpdir(), '/tmp'])];
}

/** The roots with a path short enough for the socket. `mkdtemp` adds the name of the folder. */
function roomyRoots(): string[] {
  const added = join('/', `qalign-${process.pid}-xxxxxx`, SOCKET);
  return roots().filter((root) => Buffer.byteLength(root + added) <= LONGEST_PATH);
}

function listed(root: string): string[] {
  try {
    return readdirSync(root).filter((name) => NAME.test(name));
  } catch {
    return [];
  }
}
