/** src/engine/python provides a Python with the required packages. Nothing here knows about models or messages. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, statfs, utimes, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { silentLogger, type Logger } from '../../base/logger.js';
import { packageRoot } from '../../base/package-root.js';
import { formatGigabytes } from '../../base/units.js';
import { cacheDir } from '../../base/files/cache-dir.js';
import { withFileLock } from '../../base/files/file-lock.js';
import { makeWhole } from '../../base/files/whole-file.js';
import { removeUnused } from './cleanup.js';
import { runSetupStep } from './install.js';
import { recall } from './known.js';
import {
  findPython,
  isNewEnough,
  OLDEST,
  probePython,
  REQUIRED_MODULES,
  type FoundPython,
  type PythonProbe,
} from './probe.js';
import { reasonOf } from '../../base/files/reason.js';

/** How to start Python so that `-m qalign.worker` runs. */
export interface PythonCommand {
  /** Path of the interpreter. */
  readonly executable: string;
  /** Variables that are added to the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The folder of the `qalign` package. */
  readonly root: string;
}

export interface PythonEnvOptions {
  readonly log?: Logger;
  /** Called with the current step for a progress line, only if there is something to wait for. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
  /** Optional packages that the caller needs. They are installed into the managed environment at first use. */
  readonly extras?: readonly PythonExtra[];
  /** Do not install optional packages. @throws QalignError TRAINING_EXTRA_MISSING if they are missing */
  readonly offline?: boolean;
}

/** Name of the extra → module that shows whether it is installed. The pins are in python/requirements-NAME.lock. */
const EXTRAS = {
  pillow: 'PIL',
  scipy: 'scipy',
  training: 'peft',
  transformers: 'transformers',
  tensorboard: 'tensorboard',
  wandb: 'wandb',
  mlflow: 'mlflow',
} as const;
/** An optional Python package that qalign can install. */
export type PythonExtra = keyof typeof EXTRAS;

/** The oldest Python 3 of an extra that does not support the oldest of qalign. */
const OLDEST_MINOR: Readonly<Partial<Record<PythonExtra, number>>> = { transformers: 11 };

const ROOT = join(packageRoot, 'python');
const LOCK_FILE = join(ROOT, 'requirements.lock');
/** Installed in a separate step without hashes, because the index chooses the build. */
const TORCH_FILE = join(ROOT, 'requirements-torch.txt');
const PIP = ['-m', 'pip', 'install', '--no-input', '--progress-bar', 'off'];
/** A CPU environment takes 0.93 GB, and pip needs space to unpack. */
const NEEDED_BYTES = 2_000_000_000;

/**
 * Returns the Python for the workers. QALIGN_PYTHON is used unchanged if it has the required modules. Otherwise the
 * managed environment in the cache folder is used. It is created at first use, under a lock, and again when the pins
 * change.
 *
 * @throws QalignError PYTHON_NOT_FOUND (no interpreter, too old, modules missing), PYTHON_SETUP_FAILED (disk, network,
 * pip)
 */
export async function ensurePython(options: PythonEnvOptions = {}): Promise<PythonCommand> {
  const own = process.env['QALIGN_PYTHON'];
  if (own !== undefined && own !== '') return useOwn(own, options);
  const folder = (await knownFolder()) ?? (await makeFolder(options));
  for (const extra of options.extras ?? []) await addExtra(folder, extra, options);
  await utimes(join(folder, 'complete'), new Date(), new Date()).catch(() => {}); // removeUnused reads this time
  return command(join(folder, 'bin', 'python'));
}

/**
 * Returns what `ensurePython` would return, if that is known without running an interpreter and nothing has to be
 * created. The caller can start a worker at once, but must still use `ensurePython` for errors.
 */
export async function knownPython(): Promise<PythonCommand | undefined> {
  const own = process.env['QALIGN_PYTHON'] ?? '';
  if (own !== '') {
    const probe = knownOwn(own, REQUIRED_MODULES);
    const isUsable = probe !== undefined && isNewEnough(probe) && probe.missing.length === 0;
    return isUsable ? command(own, process.env['PYTHONPATH']) : undefined;
  }
  const folder = await knownFolder();
  return folder === undefined ? undefined : command(join(folder, 'bin', 'python'));
}

/** A script that starts an interpreter is asked each time, because it can start one that lacks modules. */
function knownOwn(executable: string, modules: readonly string[]): PythonProbe | undefined {
  const known = recall(executable, modules);
  return known?.isInterpreter === true ? { executable, ...known.answer } : undefined;
}

/** The managed environment of the `python3` that was found before, if it is complete. */
async function knownFolder(): Promise<string | undefined> {
  const base = recall('python3', [])?.answer;
  if (base === undefined || !isNewEnough(base) || !base.canVenv) return undefined;
  const folder = await managedFolder(base);
  return isComplete(folder) ? folder : undefined;
}

/** Returns the managed environment of the first usable interpreter on PATH, and creates it if necessary. */
async function makeFolder(options: PythonEnvOptions): Promise<string> {
  const base = usable(await findPython(options.signal));
  const folder = await managedFolder(base);
  if (!isComplete(folder)) {
    await mkdir(cacheDir(), { recursive: true }).catch((error: Error) => fail(error));
    await withFileLock(`${folder}.lock`, () => build(base, folder, options), {
      onWait: (pid) => options.onProgress?.(`waiting for process ${pid}, which is creating the Python environment`),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }).catch((error: unknown) => fail(error, options.signal));
  }
  return folder;
}

/** Returns the path of the managed environment for the current pins and this interpreter. It need not exist. */
export async function managedFolder(base: Pick<PythonProbe, 'major' | 'minor'>): Promise<string> {
  const pins = await readPins();
  const key = createHash('sha256')
    .update(`${pins}\n${base.major}.${base.minor} ${process.platform} ${process.arch}`)
    .digest('hex');
  return join(cacheDir(), `venv-${key.slice(0, 12)}`);
}

const readPins = async (): Promise<string> =>
  (await readFile(LOCK_FILE, 'utf8')) + (await readFile(TORCH_FILE, 'utf8'));

/** Also returns false if the base interpreter is gone, because `bin/python` is then a broken link. */
export function isComplete(folder: string): boolean {
  return existsSync(join(folder, 'complete')) && existsSync(join(folder, 'bin', 'python'));
}

const lockOf = (extra: PythonExtra): string => join(ROOT, `requirements-${extra}.lock`);

/**
 * Installs an extra under the lock of the environment. A marker file with the hash of the pins records a finished
 * install.
 */
async function addExtra(folder: string, extra: PythonExtra, options: PythonEnvOptions): Promise<void> {
  const pins = await readFile(lockOf(extra));
  const marker = join(folder, `extra-${extra}-${createHash('sha256').update(pins).digest('hex').slice(0, 12)}`);
  if (existsSync(marker)) return;
  if (options.offline === true)
    throw new QalignError(
      'TRAINING_EXTRA_MISSING',
      `The Python packages of ${extra} are not installed, and offline=true forbids installing them. Run once without offline, or choose a model or option that does not need them.`,
    );
  await requireMinor(folder, extra);
  const tell = options.onProgress ?? (() => {});
  const install = async (): Promise<void> => {
    if (existsSync(marker)) return; // another process has just installed it
    tell(`installing the Python packages of ${extra} (once)`);
    const pip = [...PIP, '--require-hashes', '-r', lockOf(extra), '-c', LOCK_FILE];
    await runSetupStep(`Installing the Python packages of ${extra}`, join(folder, 'bin', 'python'), pip, {
      signal: options.signal,
      onLine: (line) => tell(pipMessage(line)),
    });
    await writeFile(marker, pins);
  };
  await withFileLock(`${folder}.lock`, install, {
    onWait: (pid) => tell(`waiting for process ${pid}, which is installing Python packages`),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }).catch((error: unknown) => fail(error, options.signal));
}

/** @throws QalignError PYTHON_NOT_FOUND if the interpreter of the environment is too old for the extra */
async function requireMinor(folder: string, extra: PythonExtra): Promise<void> {
  const oldest = OLDEST_MINOR[extra];
  if (oldest === undefined) return;
  const [, version, minor] =
    /^version\s*=\s*(3\.(\d+)\S*)/m.exec(await readFile(join(folder, 'pyvenv.cfg'), 'utf8')) ?? [];
  if (minor === undefined || Number(minor) >= oldest) return;
  throw new QalignError(
    'PYTHON_NOT_FOUND',
    `The Python packages of ${extra} need Python 3.${oldest} or newer, but the environment has ${version}; put a newer python3 first on PATH, or set QALIGN_PYTHON.`,
  );
}

async function useOwn(executable: string, { signal, extras = [] }: PythonEnvOptions): Promise<PythonCommand> {
  const modules = [...REQUIRED_MODULES, ...extras.map((extra) => EXTRAS[extra])];
  const probe = knownOwn(executable, modules) ?? (await probePython(executable, modules, signal));
  if (probe === undefined) {
    throw new QalignError(
      'PYTHON_NOT_FOUND',
      `QALIGN_PYTHON is ${executable}, which is not a working Python; choose another interpreter or unset QALIGN_PYTHON.`,
    );
  }
  if (!isNewEnough(probe)) {
    throw new QalignError(
      'PYTHON_NOT_FOUND',
      `QALIGN_PYTHON is ${executable}, Python ${probe.version}, but ${OLDEST.major}.${OLDEST.minor} or newer is needed; choose a newer interpreter or unset QALIGN_PYTHON.`,
    );
  }
  const extra = extras.find((name) => probe.missing.includes(EXTRAS[name]));
  if (extra !== undefined && probe.missing.length <= extras.length) {
    throw new QalignError(
      'TRAINING_EXTRA_MISSING',
      `QALIGN_PYTHON is ${executable}, which lacks the required module ${EXTRAS[extra]}. Run "${executable} -m pip install -r ${lockOf(extra)}", or unset QALIGN_PYTHON to let qalign install it.`,
    );
  }
  if (probe.missing.length > 0) {
    throw new QalignError(
      'PYTHON_NOT_FOUND',
      `QALIGN_PYTHON is ${executable}, which lacks ${probe.missing.join(', ')}. Run "${executable} -m pip install -r ${LOCK_FILE}" and then the same with ${TORCH_FILE}, or unset QALIGN_PYTHON to let qalign create an environment.`,
    );
  }
  return command(executable, process.env['PYTHONPATH']);
}

function usable(found: FoundPython): PythonProbe {
  if (found.usable !== undefined) return found.usable;
  const fresh = found.rejected.find(isNewEnough);
  if (fresh !== undefined) {
    throw new QalignError(
      'PYTHON_NOT_FOUND',
      `${fresh.executable} (${fresh.version}) cannot create virtual environments; install its venv module (Debian: apt-get install python3-venv), or set QALIGN_PYTHON to another interpreter.`,
    );
  }
  const old = found.rejected[0];
  const have = old === undefined ? 'there is no Python on PATH' : `only ${old.executable} ${old.version} is on PATH`;
  throw new QalignError(
    'PYTHON_NOT_FOUND',
    `qalign needs Python ${OLDEST.major}.${OLDEST.minor} or newer, but ${have}; install it (Debian: apt-get install python3 python3-venv) or set QALIGN_PYTHON to an interpreter.`,
  );
}

async function build(base: PythonProbe, folder: string, options: PythonEnvOptions): Promise<void> {
  if (isComplete(folder)) return; // another process has just created it
  await rm(folder, { recursive: true, force: true });
  const disk = await statfs(cacheDir());
  const free = disk.bavail * disk.bsize;
  if (free < NEEDED_BYTES) {
    throw new QalignError(
      'PYTHON_SETUP_FAILED',
      `The Python environment needs ${formatGigabytes(NEEDED_BYTES)} but ${cacheDir()} has ${formatGigabytes(free)} free; free disk space or set QALIGN_CACHE to a folder on a larger disk.`,
    );
  }
  const tell = options.onProgress ?? (() => {});
  await removeUnused(cacheDir(), folder, options.log ?? silentLogger);
  await makeWhole(folder, async (draft) => {
    tell('creating the Python environment (once, about a minute)');
    await runSetupStep('Creating the Python environment', base.executable, ['-m', 'venv', draft], {
      signal: options.signal,
    });
    for (const pins of [
      ['--require-hashes', '-r', LOCK_FILE],
      ['-r', TORCH_FILE],
    ])
      await runSetupStep('Installing the Python packages', join(draft, 'bin', 'python'), [...PIP, ...pins], {
        signal: options.signal,
        onLine: (line) => tell(pipMessage(line)),
      });
    await writeFile(join(draft, 'complete'), await readPins());
  });
}

function pipMessage(line: string): string {
  const name = /^\s*(Collecting|Downloading|Installing collected packages|Using cached|Processing)\b:?\s*(.*)/.exec(
    line,
  );
  return name === null
    ? 'creating the Python environment'
    : `creating the Python environment: ${name[1]?.toLowerCase()} ${name[2]?.slice(0, 60)}`;
}

/** `path` is added after this package. It holds the modules that the user adds to the interpreter. */
function command(executable: string, path = ''): PythonCommand {
  return {
    executable,
    env: {
      PYTHONPATH: path === '' ? ROOT : `${ROOT}${delimiter}${path}`,
      PYTHONUNBUFFERED: '1',
      QALIGN_CACHE: cacheDir(),
    },
    root: ROOT,
  };
}

/** Converts file system errors of the setup (read-only cache, full disk) to one error with advice. */
function fail(error: unknown, signal?: AbortSignal): never {
  if (error instanceof QalignError || signal?.aborted === true) throw error;
  throw new QalignError(
    'PYTHON_SETUP_FAILED',
    `The Python environment cannot be created in ${cacheDir()} (${reasonOf(error)}); set QALIGN_CACHE to a writable folder, or set QALIGN_PYTHON to an interpreter.`,
    { cause: error },
  );
}
