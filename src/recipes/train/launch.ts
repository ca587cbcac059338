import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openBridge, type Bridge } from '../../../bridge/client.js';
import type { TrainEvent } from '../../../bridge/protocol/train.js';
import { isAlive } from '../../../bridge/process.js';
import type { WorkerProcess, WorkerStart } from '../../../bridge/worker-process.js';
import { withFileLock } from '../../base/files/file-lock.js';
import { guardWrite } from '../../base/files/unwritable.js';
import type { PythonCommand } from '../../engine/python/environment.js';
import { QalignError } from '../../base/errors.js';
import {
  activePid,
  clearStop,
  parseEvent,
  readEvents,
  requestStop,
  summarise,
  writePid,
  type RunSummary,
} from '../../runs/run-directory.js';
import { openRunStore } from '../../runs/run-store.js';
import { reasonOf } from '../../base/files/reason.js';

export interface LaunchOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: TrainEvent) => void) | undefined;
}

interface Launched {
  readonly processes: number;
  readonly hosts: number;
  readonly rendezvous: string | null;
  readonly device: string;
}

/** Long limits, because loading 16 GB from a slow disk or waiting for other hosts must not count as a hung worker. */
const LIMITS = { startMs: 900_000, stepMs: 7_200_000, silenceMs: 7_200_000, drainMs: 60_000 };
const MODULE = 'qalign.worker.training_process';
/** Seconds from SIGTERM to SIGKILL in torchrun. Its default of 30 is too short to write a checkpoint of 33 GB. */
const SHUTDOWN_S = '3600';
/** Default time limit of `awaitOrphans`. It is enough for a step and a checkpoint of a small model. */
const ORPHAN_MS = 120_000;

/**
 * Starts `torchrun` on a run directory and waits for its end. Rank 0 sends events over the bridge; the processes print
 * to `log.txt`. If the signal is aborted, the run ends after the current step with a checkpoint.
 * @throws QalignError TRAINING_DIVERGED, RUN_FAILED
 */
export async function launch(folder: string, python: PythonCommand, options: LaunchOptions = {}): Promise<RunSummary> {
  const recipe = await readRecipe(folder);
  await claim(folder);
  const stop = (): void => void requestStop(folder);
  options.signal?.addEventListener('abort', stop, { once: true });
  if (options.signal?.aborted === true) stop();
  const before = (await readEvents(folder)).length;
  const store = openRunStore(join(folder, '..'));
  let bridge: Bridge | undefined;
  try {
    bridge = await openBridge();
    const start = (wire: WorkerStart): WorkerProcess => {
      const { child, exited } = startTorchrun(folder, python, recipe, 0, wire);
      if (child !== undefined) writePid(folder, child); // if this process dies, torchrun still finishes its step
      return { pid: child, exited, saidBye: () => {}, kill: () => killGroup(child) };
    };
    const link = await bridge.startWorker({
      python,
      device: recipe.device,
      module: MODULE,
      methods: ['train'],
      start,
      limits: LIMITS,
    });
    await store.refresh();
    await link.request(
      'train',
      { run: folder },
      { onProgress: (progress) => parseEvent(JSON.stringify(progress)).forEach((event) => options.onEvent?.(event)) },
    );
    await link.close();
  } catch (error) {
    const last = (await readEvents(folder)).slice(before).at(-1);
    // the file has the final event before it is sent, so an error after a stopped or completed run does not matter
    if (last?.event !== 'end' || last.status === 'failed') throw asRunError(folder, error, last);
  } finally {
    options.signal?.removeEventListener('abort', stop);
    await bridge?.close();
    await rm(join(folder, 'pid'), { force: true });
    await store.refresh();
  }
  return summarise(folder);
}

/**
 * Marks the run as active. Only one process can train a run, because two would overwrite each other's checkpoints. It
 * is active from here on, so that a stop request works while Python starts.
 * @throws QalignError RUN_ACTIVE, OUTPUT_UNWRITABLE
 */
async function claim(folder: string): Promise<void> {
  const take = async (): Promise<void> => {
    await requireIdle(folder);
    await clearStop(folder);
    writePid(folder, process.pid);
  };
  await guardWrite(
    () => withFileLock(join(folder, 'pid.lock'), take),
    (error) =>
      `The run directory ${folder} cannot be written (${reasonOf(error)}); make it writable, or set QALIGN_RUNS to another folder.`,
  );
}

/**
 * Waits for trainers whose parent process was killed. They notice it within seconds and end after their step, with a
 * checkpoint. Returns immediately without such trainers, and after `limitMs` if they still run.
 */
export async function awaitOrphans(
  folder: string,
  options: { readonly limitMs?: number; readonly onWait?: (pid: number) => void; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const end = Date.now() + (options.limitMs ?? ORPHAN_MS);
  for (let told = false; Date.now() < end; told = true) {
    const pid = await activePid(folder);
    if (pid === undefined || !(await isOrphan(pid))) return;
    if (!told) options.onWait?.(pid);
    await sleep(200, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}

/**
 * Whether the parent of torchrun is gone. The pid of the parent is in the environment of torchrun. If that is not
 * readable, the result is false. While torchrun exits it is empty, or ESRCH on newer kernels; that counts as gone.
 */
async function isOrphan(pid: number): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch((error: NodeJS.ErrnoException) =>
    error.code === 'ESRCH' ? '' : undefined,
  );
  if (environment === undefined) return false;
  if (environment === '') return true;
  const starter = /(?:^|\0)QALIGN_PARENT_PID=(\d+)/.exec(environment)?.[1];
  return starter !== undefined && !isAlive(Number(starter));
}

/** @throws QalignError RUN_ACTIVE */
export async function requireIdle(folder: string): Promise<void> {
  const pid = await activePid(folder);
  if (pid !== undefined)
    throw new QalignError(
      'RUN_ACTIVE',
      (await isOrphan(pid))
        ? `The process that started the run ${folder} has exited, and its trainers (process ${pid}) are finishing their step; try again later.`
        : `The run ${folder} is active in process ${pid}; stop it first with "qalign runs stop".`,
    );
}

/**
 * Runs the processes of host `rank` in a run with several hosts. They connect through the rendezvous of the recipe, and
 * the run directory is shared.
 * @throws QalignError CONFIG_INVALID, RUN_FAILED
 */
export async function joinHosts(folder: string, rank: number, python: PythonCommand): Promise<void> {
  const recipe = await readRecipe(folder);
  if (rank < 1 || rank >= recipe.hosts)
    throw new QalignError(
      'CONFIG_INVALID',
      `The run ${folder} has ${recipe.hosts} host${recipe.hosts === 1 ? '' : 's'}, so the host rank ${rank} is not valid; use a number from 1 to ${recipe.hosts - 1}.`,
    );
  const { exited } = startTorchrun(folder, python, recipe, rank, undefined);
  const how = await exited;
  if (how !== '')
    throw new QalignError(
      'RUN_FAILED',
      `Host ${rank} of the run ${folder} failed: ${how}; see log-${rank}.txt of the run.`,
    );
}

async function readRecipe(folder: string): Promise<Launched> {
  return JSON.parse(await readFile(join(folder, 'recipe.json'), 'utf8')) as Launched;
}

/**
 * Starts the torchrun agent and its trainers in a separate process group, so that Ctrl-C reaches only this process. The
 * run is stopped by the stop file. If this process dies, the trainers notice the missing pid and end with a checkpoint.
 * They write to the log directly, so that no pipe breaks.
 */
function startTorchrun(
  folder: string,
  python: PythonCommand,
  recipe: Launched,
  rank: number,
  wire: WorkerStart | undefined,
): { child: number | undefined; exited: Promise<string> } {
  const log = openSync(join(folder, rank === 0 ? 'log.txt' : `log-${rank}.txt`), 'a');
  const bridge =
    wire === undefined
      ? {}
      : { QALIGN_BRIDGE: wire.endpoint, QALIGN_BRIDGE_IDENTITY: wire.identity, QALIGN_BRIDGE_TOKEN: wire.token };
  const child = spawn(
    python.executable,
    ['-m', 'torch.distributed.run', ...torchrunArguments(recipe, rank), '-m', MODULE, folder],
    {
      env: {
        TORCH_ELASTIC_SHUTDOWN_TIMEOUT: SHUTDOWN_S,
        ...process.env,
        ...python.env,
        ...bridge,
        QALIGN_PARENT_PID: String(process.pid),
      },
      stdio: ['ignore', log, log],
      detached: true,
    },
  );
  closeSync(log);
  const exited = new Promise<string>((done) => {
    child.once('error', (error) => done(`torchrun could not be started (${error.message})`));
    child.once('close', (code, signal) =>
      done(
        code === 0 ? '' : signal === null ? `torchrun exited with code ${code}` : `torchrun was killed by ${signal}`,
      ),
    );
  });
  return { child: child.pid, exited };
}

/** @throws QalignError CONFIG_INVALID if several hosts have no rendezvous or cannot share the processes evenly */
export function torchrunArguments(
  { processes, hosts, rendezvous }: Pick<Launched, 'processes' | 'hosts' | 'rendezvous'>,
  rank: number,
): string[] {
  if (hosts === 1) return ['--standalone', `--nproc-per-node=${processes}`];
  if (rendezvous === null)
    throw new QalignError(
      'CONFIG_INVALID',
      `hosts is ${hosts}, but rendezvous is not set; set it to the first host (rendezvous=HOST:29500).`,
    );
  if (processes % hosts !== 0)
    throw new QalignError(
      'CONFIG_INVALID',
      `processes is ${processes}, which is not a multiple of hosts (${hosts}); change one of them.`,
    );
  const [address, port] = rendezvous.split(':');
  return [
    `--nnodes=${hosts}`,
    `--node-rank=${rank}`,
    `--master-addr=${address}`,
    `--master-port=${port}`,
    `--nproc-per-node=${processes / hosts}`,
  ];
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // the process has exited
  }
}

function asRunError(folder: string, error: unknown, last: TrainEvent | undefined): unknown {
  if (!(error instanceof QalignError)) return error;
  const said =
    last?.event === 'end' ? `${last.code ?? 'failed'}: ${last.message ?? ''}` : `${error.code}: ${error.message}`;
  const diverged = last?.event === 'end' && last.code === 'TRAINING_DIVERGED';
  return new QalignError(
    diverged ? 'TRAINING_DIVERGED' : 'RUN_FAILED',
    `The run ${folder} failed: ${said.trim().replace(/\.$/, '')}; see its log.txt. "qalign runs resume" continues from the last checkpoint.`,
    { cause: error },
  );
}
