/** The boundary of src/engine/python: a Python with the packages it needs; nothing of models or messages. */
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

/** How to start Python so that `-m qalign.worker` runs. `env` is to be laid over the process's own. */
export interface PythonCommand {
  readonly executable: string;
  readonly env: Readonly<Record<string, string>>;
  /** The folder that holds the `qalign` package. */
  readonly root: string;
}

export interface PythonEnvOptions {
  readonly log?: Logger;
  /** What is being done, for a progress line: only called when there is something to wait for. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
  /** Optional packages that are needed this time; installed into the managed environment at first need. */
  readonly extras?: readonly PythonExtra[];
  /** Install no optional packages: @throws QalignError TRAINING_EXTRA_MISSING where they are not there. */
  readonly offline?: boolean;
}

/** Name of the extra → the module that shows whether it is there. Pins are in python/requirements-NAME.lock. */
const EXTRAS = {
  pillow: 'PIL',
  scipy: 'scipy',
  training: 'peft',
  tensorboard: 'tensorboard',
  wandb: 'wandb',
  mlflow: 'mlflow',
} as const;
export type PythonExtra = keyof typeof EXTRAS;

const ROOT = join(packageRoot, 'python');
const LOCK_FILE = join(ROOT, 'requirements.lock');
/** Without hashes, so in a step of its own: which build is taken is up to the index. */
const TORCH_FILE = join(ROOT, 'requirements-torch.txt');
const PIP = ['-m', 'pip', 'install', '--no-input', '--progress-bar', 'off'];
/** A CPU environment takes 0.93 GB and pip unpacks beside it. */
const NEEDED_BYTES = 2_000_000_000;

/**
 * The Python that computes. QALIGN_PYTHON is used as it is, if it has the modules; otherwise the managed environment in
 * the cache folder, which is made at first need (once, under a lock) and again when the pins change.
 *
 * @throws QalignError PYTHON_NOT_FOUND (no interpreter, too old, modules missing), PYTHON_SETUP_FAILED (disk, network,
 * pip)
 */
export async function ensurePython(options: PythonEnvOptions = {}): Promise<PythonCommand> {
  const own = process.env['QALIGN_PYTHON'];
  if (own !== undefined && own !== '') return useOwn(own, options);
  const base = usable(await findPython(options.signal));
  const folder = await managedFolder(base);
  if (!isComplete(folder)) {
    await mkdir(cacheDir(), { recursive: true }).catch((error: Error) => fail(error));
    await withFileLock(`${folder}.lock`, () => build(base, folder, options), {
      onWait: (pid) => options.onProgress?.(`waiting for process ${pid}, which is making the Python environment`),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }).catch((error: unknown) => fail(error, options.signal));
  }
  for (const extra of options.extras ?? []) await addExtra(folder, extra, options);
  await utimes(join(folder, 'complete'), new Date(), new Date()).catch(() => {}); // read by removeUnused
  return command(join(folder, 'bin', 'python'));
}

/** Where the managed environment for the present pins and this interpreter is, made or not. */
export async function managedFolder(base: Pick<PythonProbe, 'major' | 'minor'>): Promise<string> {
  const pins = await readPins();
  const key = createHash('sha256')
    .update(`${pins}\n${base.major}.${base.minor} ${process.platform} ${process.arch}`)
    .digest('hex');
  return join(cacheDir(), `venv-${key.slice(0, 12)}`);
}

const readPins = async (): Promise<string> =>
  (await readFile(LOCK_FILE, 'utf8')) + (await readFile(TORCH_FILE, 'utf8'));

/** False also when the interpreter it was made from is gone: its `bin/python` is then a dangling link. */
export function isComplete(folder: string): boolean {
  return existsSync(join(folder, 'complete')) && existsSync(join(folder, 'bin', 'python'));
}

const lockOf = (extra: PythonExtra): string => join(ROOT, `requirements-${extra}.lock`);

/** Under the same lock as the environment itself; a marker with the hash of the pins says that it is done. */
async function addExtra(folder: string, extra: PythonExtra, options: PythonEnvOptions): Promise<void> {
  const pins = await readFile(lockOf(extra));
  const marker = join(folder, `extra-${extra}-${createHash('sha256').update(pins).digest('hex').slice(0, 12)}`);
  if (existsSync(marker)) return;
  if (options.offline === true)
    throw new QalignError(
      'TRAINING_EXTRA_MISSING',
      `The Python packages of ${extra} are not installed and offline=true installs none; leave ${extra} out, or run once without offline.`,
    );
  const tell = options.onProgress ?? (() => {});
  const install = async (): Promise<void> => {
    if (existsSync(marker)) return; // another process installed it while this one waited
    tell(`installing what ${extra} needs (once)`);
    const pip = [...PIP, '--require-hashes', '-r', lockOf(extra), '-c', LOCK_FILE];
    await runSetupStep(`Installing what ${extra} needs`, join(folder, 'bin', 'python'), pip, {
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

async function useOwn(executable: string, { signal, extras = [] }: PythonEnvOptions): Promise<PythonCommand> {
  const probe = await probePython(executable, [...REQUIRED_MODULES, ...extras.map((extra) => EXTRAS[extra])], signal);
  if (probe === undefined) {
    throw new QalignError(
      'PYTHON_NOT_FOUND',
      `QALIGN_PYTHON is ${executable}, which is not a working Python; name another or unset it.`,
    );
  }
  if (!isNewEnough(probe)) {
    throw new QalignError(
      'PYTHON_NOT_FOUND',
      `QALIGN_PYTHON is ${executable}, Python ${probe.version}, but ${OLDEST.major}.${OLDEST.minor} or newer is needed.`,
    );
  }
  const extra = extras.find((name) => probe.missing.includes(EXTRAS[name]));
  if (extra !== undefined && probe.missing.length <= extras.length) {
    throw new QalignError(
      'TRAINING_EXTRA_MISSING',
      `QALIGN_PYTHON is ${executable}, which lacks ${EXTRAS[extra]} which this needs; run "${executable} -m pip install -r ${lockOf(extra)}", or unset QALIGN_PYTHON to let qalign do it.`,
    );
  }
  if (probe.missing.length > 0) {
    throw new QalignError(
      'PYTHON_NOT_FOUND',
      `QALIGN_PYTHON is ${executable}, which lacks ${probe.missing.join(', ')}; run "${executable} -m pip install -r ${LOCK_FILE}" and then the same with ${TORCH_FILE}, or unset QALIGN_PYTHON to let qalign make its own environment.`,
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
      `${fresh.executable} (${fresh.version}) cannot make virtual environments; install its venv module (Debian: apt-get install python3-venv), or name another interpreter in QALIGN_PYTHON.`,
    );
  }
  const old = found.rejected[0];
  const have = old === undefined ? 'there is no Python on PATH' : `only ${old.executable} ${old.version} is on PATH`;
  throw new QalignError(
    'PYTHON_NOT_FOUND',
    `qalign needs Python ${OLDEST.major}.${OLDEST.minor} or newer, but ${have}; install it (Debian: apt-get install python3 python3-venv) or name one in QALIGN_PYTHON.`,
  );
}

async function build(base: PythonProbe, folder: string, options: PythonEnvOptions): Promise<void> {
  if (isComplete(folder)) return; // another process made it while this one waited
  await rm(folder, { recursive: true, force: true });
  const disk = await statfs(cacheDir());
  const free = disk.bavail * disk.bsize;
  if (free < NEEDED_BYTES) {
    throw new QalignError(
      'PYTHON_SETUP_FAILED',
      `The Python environment needs ${formatGigabytes(NEEDED_BYTES)} but ${cacheDir()} has ${formatGigabytes(free)} left; free some space or set QALIGN_CACHE to a roomier disk.`,
    );
  }
  const tell = options.onProgress ?? (() => {});
  await removeUnused(cacheDir(), folder, options.log ?? silentLogger);
  await makeWhole(folder, async (draft) => {
    tell('making the Python environment (once, about a minute)');
    await runSetupStep('Making the Python environment', base.executable, ['-m', 'venv', draft], {
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
    ? 'making the Python environment'
    : `making the Python environment: ${name[1]?.toLowerCase()} ${name[2]?.slice(0, 60)}`;
}

/** `path` goes behind this package: where its owner keeps what an interpreter of their own imports. */
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

/** File system errors of the set-up (read-only cache, full disk) become the one error a user can act on. */
function fail(error: unknown, signal?: AbortSignal): never {
  if (error instanceof QalignError || signal?.aborted === true) throw error;
  throw new QalignError(
    'PYTHON_SETUP_FAILED',
    `The Python environment cannot be made in ${cacheDir()} (${reasonOf(error)}); set QALIGN_CACHE to a folder that can be written, or name an interpreter in QALIGN_PYTHON.`,
    { cause: error },
  );
}
