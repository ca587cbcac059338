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
  /** missing: something cannot be done; warning: it works, but slower or later. */
  readonly status: 'ok' | 'warning' | 'missing';
  readonly found: string;
  /** What its absence costs and what to do; empty when all is well. */
  readonly cost: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface DoctorReport {
  readonly qalign: string;
  /** False when not even a picture can be scored. */
  readonly usable: boolean;
  /** Whether clips can be scored, too. */
  readonly clips: boolean;
  /** False where the first score will have to make the Python environment. */
  readonly ready: boolean;
  readonly checks: readonly Check[];
}

/** Without these nothing is scored. */
const ESSENTIAL = ['node', 'python', 'environment', 'torch', 'temporary'];
/** A CPU environment, and pip beside it. */
const ENVIRONMENT_BYTES = 2e9;
const NETWORK_MS = 2_000;

/** Looks at this machine and changes nothing on it: no environment is made, no model fetched. */
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
            cost: 'Nothing can be scored; name a working Python or unset QALIGN_PYTHON.',
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
            cost: `Nothing can be scored; name Python ${OLDEST.major}.${OLDEST.minor} or newer, or unset QALIGN_PYTHON.`,
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
          cost: lacks === '' ? '' : 'Nothing can be scored; install them there or unset QALIGN_PYTHON.',
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

/** It is made at the first score, where it can be. */
export function environmentToCome(folder: string, { writable, free }: Folder): Check {
  const check = { name: 'environment', found: 'not made yet' };
  if (!writable)
    return {
      ...check,
      status: 'missing',
      cost: `Nothing can be scored: ${folder} cannot be made; set QALIGN_CACHE to a folder that can be written, or name an interpreter in QALIGN_PYTHON.`,
    };
  if (free < ENVIRONMENT_BYTES)
    return {
      ...check,
      status: 'missing',
      cost: `Nothing can be scored: it takes ${formatGigabytes(ENVIRONMENT_BYTES)} in ${folder} and ${formatGigabytes(free)} are free; free some or set QALIGN_CACHE to a roomier disk.`,
    };
  return {
    ...check,
    status: 'warning',
    cost: `It is made at the first score, in ${folder}: about a minute and 1 GB, more with CUDA.`,
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
    return [{ name: 'torch', status: 'warning', found: 'not known without an environment', cost: '' }];
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
        cost: 'Nothing can be scored; remake the environment.',
      },
    ];
  }
}

const PUBLISHED_PARAMETERS = Object.values(countParameters(PUBLISHED_SHAPE)).reduce((sum, count) => sum + count, 0);
/** Of OneAlign and its relatives: the weights, and the room that batches take. */
const PUBLISHED_BYTES = { bf16: 2 * PUBLISHED_PARAMETERS + 2e9, fp32: 4 * PUBLISHED_PARAMETERS + 2e9 };

/** What the devices are too small for. */
export function sizeCost(gpus: readonly number[], memory: number): string {
  const large = Math.max(0, ...gpus);
  if (large >= PUBLISHED_BYTES.bf16) return '';
  const needs = `Models of 8 billion parameters need a GPU with ${formatGigabytes(PUBLISHED_BYTES.bf16)}`;
  if (large > 0) return `${needs} and the largest here has ${formatGigabytes(large)}; the small ones are fine.`;
  return memory >= PUBLISHED_BYTES.fp32
    ? 'Models of 8 billion parameters take a minute and more a picture on a CPU; the small ones are fine.'
    : `${needs}, or ${formatGigabytes(PUBLISHED_BYTES.fp32)} of memory, and this machine has ${formatGigabytes(memory)}; the small ones are fine.`;
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
        ? 'Videos cannot be scored, pictures can; install ffmpeg or name one in FFMPEG_BIN.'
        : 'Clips are counted by ffmpeg itself, which is slower; install ffprobe or name one in FFPROBE_BIN.';
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
        ? 'Only the model inside the repository is at hand; the others are fetched when named (16 GB each) or with "qalign models pull".'
        : '',
    details: { folder, models },
  };
}

interface Folder {
  readonly folder: string;
  /** Whether it can be written, or made. */
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
      : 'The Python environment needs about 2 GB, a published model 16 GB; set QALIGN_CACHE and HF_HOME to a roomier disk.',
    details: { folder, free_bytes: free, writable },
  };
}

/** Clips that are not files lie there, and the sockets of the workers, which can lie elsewhere. */
function temporaryCheck({ folder, writable: allowed, free }: Folder, sockets: boolean): Check {
  const writable = allowed && existsSync(folder); // nobody makes it
  const lost = sockets
    ? 'Clips on stdin and runs with several models cannot be scored'
    : 'Nothing can be scored: there is no place for the sockets of workers';
  return {
    name: 'temporary',
    status: !sockets ? 'missing' : writable ? 'ok' : 'warning',
    found: `${folder}${writable ? '' : ' (not writable)'}, ${formatGigabytes(free)} free`,
    cost: sockets && writable ? '' : `${lost}; set TMPDIR to a folder that can be written.`,
  };
}

/** The hub, by one short request. Through a proxy nothing is tried: only the libraries of Python know it. */
async function networkCheck(env: NodeJS.ProcessEnv = process.env): Promise<Check> {
  const hub = env['HF_ENDPOINT'] ?? 'https://huggingface.co';
  const check = { name: 'network', status: 'ok', cost: '' } as const;
  if (['1', 'true', 'yes', 'on'].includes((env['HF_HUB_OFFLINE'] ?? '').toLowerCase()))
    return { ...check, found: 'not used (HF_HUB_OFFLINE)' };
  if ((env['HTTPS_PROXY'] ?? env['https_proxy'] ?? '') !== '') return { ...check, found: 'by a proxy, not tried' };
  const late = deadline(NETWORK_MS, () => new Error('no answer'));
  try {
    await fetch(hub, { method: 'HEAD', signal: late.signal });
    return { ...check, found: `${hub} answers` };
  } catch {
    return {
      name: 'network',
      status: 'warning',
      found: `${hub} does not answer`,
      cost: 'Models and packages that are not here cannot be fetched: name a mirror in HF_ENDPOINT, or a folder with --model DIR.',
    };
  } finally {
    late.release();
  }
}
