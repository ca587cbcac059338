import { canMakeSocketFolder } from '../../bridge/socket-folder.js';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { access, constants, statfs } from 'node:fs/promises';
import { tmpdir, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { deadline } from '../base/first-signal.js';
import { cacheDir, modelCacheDir } from '../base/files/cache-dir.js';
import { isComplete, managedFolder } from '../engine/python/environment.js';
import { findPython, isNewEnough, OLDEST, probePython, REQUIRED_MODULES } from '../engine/python/probe.js';
import { describeFfmpeg } from '../media/video/tools/ffmpeg.js';
import { packageVersion } from '../base/package-root.js';
import { formatGigabytes } from '../base/units.js';
import { countParameters, PUBLISHED_SHAPE } from './train/memory-estimate.js';

const run = promisify(execFile);

export interface Check {
  readonly name: string;
  /** `missing`: a function is not available; `warning`: it works, but is slower or needs setup. */
  readonly status: 'ok' | 'warning' | 'missing';
  readonly found: string;
  /** The consequence of the problem and its solution; empty if there is no problem. */
  readonly cost: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface DoctorReport {
  readonly qalign: string;
  /** Whether pictures can be scored. */
  readonly usable: boolean;
  /** Whether clips can be scored. */
  readonly clips: boolean;
  /** False if the first score must create the Python environment. */
  readonly ready: boolean;
  readonly checks: readonly Check[];
}

/** Names of the checks without which nothing can be scored. */
const ESSENTIAL = ['node', 'python', 'environment', 'torch', 'temporary'];
/** Size of a CPU environment, including the space that pip needs. */
const ENVIRONMENT_BYTES = 2e9;
const NETWORK_MS = 2_000;

/** Checks the installation without changing it: creates no environment and downloads no model. */
export async function examine(signal?: AbortSignal): Promise<DoctorReport> {
  const cache = await lookAtFolder(cacheDir());
  const [{ python, interpreter }, network] = await Promise.all([pythonChecks(cache, signal), networkCheck()]);
  const checks = [
    nodeCheck(),
    ...python,
    ...(await torchChecks(interpreter, signal)),
    ...(await toolChecks()),
    await modelCheck(),
    cacheCheck(cache),
    temporaryCheck(await lookAtFolder(tmpdir()), canMakeSocketFolder()),
    network,
  ];
  const usable = checks.every(({ name, status }) => status !== 'missing' || !ESSENTIAL.includes(name));
  const clips = usable && checks.every(({ name, status }) => name !== 'ffmpeg' || status !== 'missing');
  return { qalign: packageVersion, usable, clips, ready: usable && interpreter !== undefined, checks };
}

function nodeCheck(): Check {
  const enough = Number(process.versions.node.split('.')[0]) >= 20;
  return {
    name: 'node',
    status: enough ? 'ok' : 'missing',
    found: process.versions.node,
    cost: enough ? '' : 'qalign needs Node 20 or newer.',
  };
}

async function pythonChecks(
  cache: Folder,
  signal?: AbortSignal,
): Promise<{ python: Check[]; interpreter: string | undefined }> {
  const own = process.env['QALIGN_PYTHON'];
  if (own !== undefined && own !== '') {
    const probe = await probePython(own, REQUIRED_MODULES, signal);
    if (probe === undefined)
      return {
        python: [
          {
            name: 'python',
            status: 'missing',
            found: `${own} (QALIGN_PYTHON) does not run`,
            cost: 'Nothing can be scored; set QALIGN_PYTHON to a working Python, or unset it.',
          },
        ],
        interpreter: undefined,
      };
    const lacks = probe.missing.join(', ');
    if (!isNewEnough(probe))
      return {
        python: [
          {
            name: 'python',
            status: 'missing',
            found: `${probe.version} at ${own} (QALIGN_PYTHON)`,
            cost: `Nothing can be scored; set QALIGN_PYTHON to Python ${OLDEST.major}.${OLDEST.minor} or newer, or unset it.`,
          },
        ],
        interpreter: undefined,
      };
    return {
      python: [
        { name: 'python', status: 'ok', found: `${probe.version} at ${own} (QALIGN_PYTHON)`, cost: '' },
        {
          name: 'environment',
          status: lacks === '' ? 'ok' : 'missing',
          found: lacks === '' ? 'complete' : `lacks ${lacks}`,
          cost:
            lacks === '' ? '' : 'Nothing can be scored; install the missing packages there, or unset QALIGN_PYTHON.',
        },
      ],
      interpreter: lacks === '' ? own : undefined,
    };
  }
  const { usable, rejected } = await findPython(signal);
  if (usable === undefined) {
    const found = rejected
      .map(({ executable, version, canVenv }) => `${executable} ${version}${canVenv ? '' : ' without venv'}`)
      .join(', ');
    return {
      python: [
        {
          name: 'python',
          status: 'missing',
          found: found || 'none on PATH',
          cost: 'Nothing can be scored; install Python 3.10 or newer with its venv module.',
        },
      ],
      interpreter: undefined,
    };
  }
  const folder = await managedFolder(usable);
  const made = isComplete(folder);
  return {
    python: [
      { name: 'python', status: 'ok', found: `${usable.version} at ${usable.executable}`, cost: '' },
      made ? { name: 'environment', status: 'ok', found: folder, cost: '' } : environmentToCome(folder, cache),
    ],
    interpreter: made ? `${folder}/bin/python` : undefined,
  };
}

/** The check of an environment that does not exist yet: whether the first score can create it. */
export function environmentToCome(folder: string, { writable, free }: Folder): Check {
  const check = { name: 'environment', found: 'not created yet' };
  if (!writable)
    return {
      ...check,
      status: 'missing',
      cost: `Nothing can be scored: ${folder} cannot be created; set QALIGN_CACHE to a writable folder, or QALIGN_PYTHON to an interpreter.`,
    };
  if (free < ENVIRONMENT_BYTES)
    return {
      ...check,
      status: 'missing',
      cost: `Nothing can be scored: it needs ${formatGigabytes(ENVIRONMENT_BYTES)} in ${folder} and ${formatGigabytes(free)} are free; free disk space, or set QALIGN_CACHE to a larger disk.`,
    };
  return {
    ...check,
    status: 'warning',
    cost: `The first score creates it in ${folder}, which takes about a minute and 1 GB (more with CUDA).`,
  };
}

const TORCH_SCRIPT = `
import json, torch
devices = [dict(device=f"cuda:{i}", name=torch.cuda.get_device_name(i), free_bytes=torch.cuda.mem_get_info(i)[0], total_bytes=torch.cuda.mem_get_info(i)[1]) for i in range(torch.cuda.device_count())]
print(json.dumps(dict(version=torch.__version__, cuda=torch.version.cuda, threads=torch.get_num_threads(), devices=devices)))
`;

interface TorchReport {
  version: string;
  cuda: string | null;
  threads: number;
  devices: { device: string; name: string; free_bytes: number; total_bytes: number }[];
}

async function torchChecks(interpreter: string | undefined, signal?: AbortSignal): Promise<Check[]> {
  if (interpreter === undefined)
    return [{ name: 'torch', status: 'warning', found: 'unknown without an environment', cost: '' }];
  try {
    const { stdout } = await run(interpreter, ['-c', TORCH_SCRIPT], {
      timeout: 120_000,
      ...(signal === undefined ? {} : { signal }),
    });
    const torch = JSON.parse(stdout) as TorchReport;
    const gpus = torch.devices
      .map(
        ({ device, name, free_bytes, total_bytes }) =>
          `${device} ${name}, ${formatGigabytes(free_bytes)} of ${formatGigabytes(total_bytes)} free`,
      )
      .join('; ');
    return [
      {
        name: 'torch',
        status: 'ok',
        found: `${torch.version}, ${torch.threads} threads`,
        cost: '',
        details: { ...torch },
      },
      {
        name: 'cuda',
        status:
          Math.max(0, ...torch.devices.map(({ total_bytes }) => total_bytes)) < PUBLISHED_BYTES.bf16 ? 'warning' : 'ok',
        found: gpus || 'no device',
        cost: sizeCost(
          torch.devices.map(({ total_bytes }) => total_bytes),
          totalmem(),
        ),
        details: { devices: torch.devices, published_models_bytes: PUBLISHED_BYTES },
      },
    ];
  } catch (error) {
    signal?.throwIfAborted();
    return [
      {
        name: 'torch',
        status: 'missing',
        found: `cannot be imported: ${String((error as { stderr?: string }).stderr ?? (error as Error).message)
          .trim()
          .split('\n')
          .at(-1)}`,
        cost: 'Nothing can be scored; create the environment again.',
      },
    ];
  }
}

const PUBLISHED_PARAMETERS = Object.values(countParameters(PUBLISHED_SHAPE)).reduce((sum, count) => sum + count, 0);
/** Memory of OneAlign and models of its size: the weights and 2 GB for batches. */
const PUBLISHED_BYTES = { bf16: 2 * PUBLISHED_PARAMETERS + 2e9, fp32: 4 * PUBLISHED_PARAMETERS + 2e9 };

/** The models that the devices are too small for; empty if there are none. */
export function sizeCost(gpus: readonly number[], memory: number): string {
  const large = Math.max(0, ...gpus);
  if (large >= PUBLISHED_BYTES.bf16) return '';
  const needs = `Models of 8 billion parameters need a GPU with ${formatGigabytes(PUBLISHED_BYTES.bf16)}`;
  if (large > 0) return `${needs}, and the largest here has ${formatGigabytes(large)}; small models work.`;
  return memory >= PUBLISHED_BYTES.fp32
    ? 'Models of 8 billion parameters take more than a minute per picture on a CPU; small models work.'
    : `${needs}, or ${formatGigabytes(PUBLISHED_BYTES.fp32)} of memory, and this machine has ${formatGigabytes(memory)}; small models work.`;
}

async function toolChecks(): Promise<Check[]> {
  const found = await describeFfmpeg();
  return (['ffmpeg', 'ffprobe'] as const).map((name) => {
    const tool = found[name];
    if (tool !== undefined)
      return {
        name,
        status: 'ok',
        found: `${tool.version} at ${tool.path} (${[tool.origin, tool.why].filter(Boolean).join('; ')})`,
        cost: '',
      };
    const named = process.env[`${name.toUpperCase()}_BIN`];
    const cost =
      name === 'ffmpeg'
        ? 'Videos cannot be scored, only pictures; install ffmpeg, or set FFMPEG_BIN to its path.'
        : 'The frames of clips are counted with ffmpeg, which is slower; install ffprobe, or set FFPROBE_BIN to its path.';
    return {
      name,
      status: name === 'ffmpeg' ? 'missing' : 'warning',
      found: named ? `${named} does not run` : 'none',
      cost,
    };
  });
}

async function modelCheck(): Promise<Check> {
  const folder = modelCacheDir();
  const models = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.startsWith('models--'))
        .map((name) => name.slice(8).replace('--', '/'))
    : [];
  return {
    name: 'models',
    status: 'ok',
    found: models.length === 0 ? `none in ${folder}` : `${models.join(', ')} in ${folder}`,
    cost:
      models.length === 0
        ? 'Only the bundled model is available. Other models (16 GB each) are downloaded on first use, or with "qalign models pull".'
        : '',
    details: { folder, models },
  };
}

interface Folder {
  readonly folder: string;
  /** Whether the folder is writable or can be created. */
  readonly writable: boolean;
  readonly free: number;
}

async function lookAtFolder(folder: string): Promise<Folder> {
  let place = folder;
  while (!existsSync(place)) place = dirname(place);
  const writable = await access(place, constants.W_OK | constants.X_OK).then(
    () => statSync(place).isDirectory(),
    () => false,
  );
  const { bavail, bsize } = await statfs(place);
  return { folder, writable, free: bavail * bsize };
}

function cacheCheck({ folder, writable, free }: Folder): Check {
  const enough = writable && free > ENVIRONMENT_BYTES;
  return {
    name: 'cache',
    status: enough ? 'ok' : 'warning',
    found: `${folder}${writable ? '' : ' (not writable)'}, ${formatGigabytes(free)} free`,
    cost: enough
      ? ''
      : 'The Python environment needs about 2 GB, a published model 16 GB; set QALIGN_CACHE and HF_HOME to a larger disk.',
    details: { folder, free_bytes: free, writable },
  };
}

/**
 * Checks the folder for temporary files. It holds clips from stdin and sockets of workers; sockets have a fallback
 * folder.
 */
function temporaryCheck({ folder, writable: allowed, free }: Folder, sockets: boolean): Check {
  const writable = allowed && existsSync(folder); // qalign does not create this folder
  const lost = sockets
    ? 'Clips on stdin and runs with several models cannot be scored'
    : 'Nothing can be scored, because no folder for the sockets of workers is writable';
  return {
    name: 'temporary',
    status: !sockets ? 'missing' : writable ? 'ok' : 'warning',
    found: `${folder}${writable ? '' : ' (not writable)'}, ${formatGigabytes(free)} free`,
    cost: sockets && writable ? '' : `${lost}; set TMPDIR to a writable folder.`,
  };
}

/** Checks the hub with one short request. It is skipped behind a proxy, which only the Python libraries support. */
async function networkCheck(env: NodeJS.ProcessEnv = process.env): Promise<Check> {
  const hub = env['HF_ENDPOINT'] ?? 'https://huggingface.co';
  const check = { name: 'network', status: 'ok', cost: '' } as const;
  if (['1', 'true', 'yes', 'on'].includes((env['HF_HUB_OFFLINE'] ?? '').toLowerCase()))
    return { ...check, found: 'not used (HF_HUB_OFFLINE)' };
  if ((env['HTTPS_PROXY'] ?? env['https_proxy'] ?? '') !== '')
    return { ...check, found: 'proxy configured, not checked' };
  const late = deadline(NETWORK_MS, () => new Error('no answer'));
  try {
    await fetch(hub, { method: 'HEAD', signal: late.signal });
    return { ...check, found: `${hub} responds` };
  } catch {
    return {
      name: 'network',
      status: 'warning',
      found: `${hub} does not respond`,
      cost: 'Models and packages cannot be downloaded; set HF_ENDPOINT to a mirror, or use a local model with --model DIR.',
    };
  } finally {
    late.release();
  }
}
