/** The private folder of a bridge's socket: where it is made, and what is removed of processes that are gone. */
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

/** sun_path holds 108 bytes, the last of them NUL. */
const LONGEST_PATH = 107;
const SOCKET = 'bridge';
/** Says which kernel the folder belongs to: on another one, a socket cannot be asked whether somebody listens. */
const KERNEL = 'kernel';
const NAME = /^qalign-\d+-\w{6}$/;
/** A folder is looked at when it is older: before that its owner may be between mkdir, bind and listen. */
const YOUNG_MS = 10_000;

export const socketIn = (folder: string): string => join(folder, SOCKET);

/**
 * A new 0700 folder in $XDG_RUNTIME_DIR where that is private, else in the temporary folder. @throws QalignError
 * OUTPUT_UNWRITABLE
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
    `No folder for the socket of the workers can be made in ${roots.join(' or ')} (${failure?.message}); set TMPDIR to one that can be written.`,
    { cause: failure },
  );
}

/** Whether a worker could be started: a folder is made and removed. */
export function canMakeSocketFolder(): boolean {
  try {
    removeFolder(makeSocketFolder());
    return true;
  } catch {
    return false;
  }
}

/** Makes the folder again under its old name, for workers that were told it. False where another has taken the name. */
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

/** Tells a socket file from one that came later under its name; undefined when there is none. */
export function socketIdentity(folder: string): string | undefined {
  try {
    const { dev, ino } = lstatSync(socketIn(folder));
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

/**
 * Removes the folders of this user where nobody listens any more. Pids are not asked: in another PID namespace every
 * one of them looks dead.
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

/** Only what a bridge puts there: a folder with anything else in it stays. */
function removeFolder(folder: string): void {
  try {
    for (const name of [SOCKET, KERNEL]) rmSync(join(folder, name), { force: true });
    rmdirSync(folder);
  } catch {
    // another sweep was first, or the folder holds something else
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

/** The same in every container of one boot of one machine. */
function thisKernel(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return hostname();
  }
}

/** A directory of this user that nobody else can enter. */
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

/** Those whose path leaves room for the socket's name; `mkdtemp` adds the name of the folder. */
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
