import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { access, constants, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { cacheDir, modelCacheDir } from '../base/files/cache-dir.js';
import { isComplete, managedFolder } from '../engine/python/environment.js';
import { findPython, probePython, REQUIRED_MODULES } from '../engine/python/probe.js';
import { describeFfmpeg } from '../media/video/ffmpeg.js';
import { packageVersion } from '../base/package-root.js';
import { formatGigabytes } from '../base/units.js';

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
  readonly checks: readonly Check[];
}

/** Without these nothing is scored. */
const ESSENTIAL = ['node', 'python', 'environment', 'torch'];

/** Looks at this machine and changes nothing on it: no environment is made, no model fetched. */
export async function examine(signal?: AbortSignal): Promise<DoctorReport> {
  const { python, interpreter } = await pythonChecks(signal);
  const checks = [
    nodeCheck(),
    ...python,
    ...(await torchChecks(interpreter, signal)),
    ...(await toolChecks()),
    await modelCheck(),
    await diskCheck(),
  ];
  return {
    qalign: packageVersion,
    usable: checks.every(({ name, status }) => status !== 'missing' || !ESSENTIAL.includes(name)),
    checks,
  };
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

async function pythonChecks(signal?: AbortSignal): Promise<{ python: Check[]; interpreter: string | undefined }> {
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
      {
        name: 'environment',
        status: made ? 'ok' : 'warning',
        found: made ? folder : 'not made yet',
        cost: made ? '' : `It is made at the first score, in ${folder}: about a minute and 1 GB, more with CUDA.`,
      },
    ],
    interpreter: made ? `${folder}/bin/python` : undefined,
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
        status: gpus === '' ? 'warning' : 'ok',
        found: gpus || 'no device',
        cost:
          gpus === ''
            ? 'Models of 8 billion parameters take a minute and more a picture on a CPU; the small ones are fine.'
            : '',
        details: { devices: torch.devices },
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

async function toolChecks(): Promise<Check[]> {
  const found = await describeFfmpeg();
  return (['ffmpeg', 'ffprobe'] as const).map((name) => {
    const tool = found[name];
    if (tool !== undefined)
      return { name, status: 'ok', found: `${tool.version} at ${tool.path} (${tool.origin})`, cost: '' };
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

async function diskCheck(): Promise<Check> {
  let folder = cacheDir();
  while (!existsSync(folder)) folder = dirname(folder);
  const writable = await access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const enough = writable && free > 2e9;
  return {
    name: 'cache',
    status: enough ? 'ok' : 'warning',
    found: `${cacheDir()}${writable ? '' : ' (not writable)'}, ${formatGigabytes(free)} free`,
    cost: enough
      ? ''
      : 'The Python environment needs about 2 GB, a published model 16 GB; set XDG_CACHE_HOME to a roomier disk.',
    details: { folder: cacheDir(), free_bytes: free, writable },
  };
}
