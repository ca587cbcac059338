import { QalignError } from '../../../base/errors.js';
import type { RayEvent } from '../../../recipes/shards/ray/events.js';
import type { RayJob } from '../../../recipes/shards/ray/job.js';
import { scoreShardsOnRay, stopShardsOnRay, type RayShardsOptions } from '../../../recipes/shards/ray/score-on-ray.js';
import type { CommandContext } from '../../command.js';
import { onSecondSignal } from '../../second-signal.js';
import { visible } from '../../terminal/visible.js';
import { usage, wholeNumber, type ScoreFlags } from '../request.js';
import { createShardProgress, summaryOfShards, wrongOutput } from '../shard-progress.js';
import type { ShardRequest } from '../shard-request.js';
import { workerArguments } from './worker-arguments.js';

/** Lost workers that are printed as they come. */
const LOSSES_SHOWN = 20;
/** Time for a second Ctrl-C. */
const SECOND_MS = 5000;

/** Runs `qalign score --shards … --ray URL`. Returns the exit code. */
export async function runOnRayCommand(
  context: Pick<CommandContext, 'terminal' | 'signal'>,
  flags: ScoreFlags,
  request: ShardRequest,
): Promise<number> {
  const { terminal, signal } = context;
  const { out, quiet, json } = request;
  const progress = createShardProgress(terminal, { json: false, quiet });
  const say = (text: string): void => {
    if (!quiet) terminal.say(`qalign: ${text}`);
  };
  let [id, counted, losses]: [string | undefined, number, number] = [undefined, 0, 0];
  let printed = Promise.resolve();
  const onEvent = (event: RayEvent): void => {
    if (json) printed = printed.then(() => terminal.out(`${JSON.stringify(event)}\n`));
    if (event.event === 'done') counted += event.items;
    if (event.event === 'done' || event.event === 'failed') void progress.onEvent(event);
    // the counts of a job include those of complete shards, and the progress line adds these itself
    if (event.event === 'progress')
      void progress.onEvent({ event: 'progress', shard: '', index: 0, items: Math.max(0, event.items - counted) });
    if (event.event === 'worker' && event.state !== 'ready' && losses++ < LOSSES_SHOWN)
      say(`worker ${event.place} on ${event.node ?? 'no node'} was ${event.state}: ${visible(event.reason ?? '')}`);
  };
  const options: RayShardsOptions = {
    ...optionsOf(flags, request),
    signal,
    onShards: (shards) => progress.total(shards.length),
    onJob: (name, attached) => {
      id = name;
      say(attached ? `attached to the job ${name}` : `submitted the job ${name}`);
    },
    onEvent,
  };
  if (flags['ray-stop'] === true) return stop(options, say);
  try {
    const summary = await scoreShardsOnRay(options);
    progress.finish();
    await printed;
    if (json) await terminal.out(`${JSON.stringify({ event: 'end', ...summary })}\n`);
    say(summaryOfShards(summary, out, terminal.paintErr));
    return summary.failed > 0 ? 1 : 0;
  } catch (error) {
    progress.finish();
    await printed;
    if (signal.aborted && id !== undefined) await leave(id, options, terminal.errIsTerminal, say);
    return wrongOutput(terminal, error);
  }
}

async function stop(options: RayShardsOptions, say: (text: string) => void): Promise<number> {
  const id = await stopShardsOnRay(options);
  say(id === undefined ? 'no job of these shards is running' : `stopped the job ${id}`);
  return 0;
}

/** After Ctrl-C the job continues; a second Ctrl-C stops it. */
async function leave(id: string, options: RayShardsOptions, asks: boolean, say: (text: string) => void): Promise<void> {
  say(`the job ${id} continues; the same command attaches to it, and stops it with --ray-stop`);
  if (!asks) return;
  say(`press Ctrl-C again within ${SECOND_MS / 1000} s to stop the job`);
  if (!(await onSecondSignal(SECOND_MS))) return;
  say('stopping the job');
  await stop({ ...options, signal: new AbortController().signal }, say);
}

function optionsOf(
  flags: ScoreFlags,
  { patterns, part, out, format }: ShardRequest,
): Omit<RayShardsOptions, 'signal' | 'onShards' | 'onJob' | 'onEvent'> {
  const device = flags.device ?? 'auto';
  if (!['auto', 'cpu', 'cuda'].includes(device))
    throw usage(`--ray gives each worker one device; --device is auto, cpu or cuda, not ${device}`);
  for (const name of ['listen', 'bridge-keys'] as const)
    if (flags[name] !== undefined) throw usage(`--${name} is for workers of other hosts without Ray; leave it out`);
  if (flags.ray === undefined) throw new QalignError('USAGE', 'qalign score: --ray needs the address of a head.');
  return {
    head: { url: flags.ray, tokenFile: flags['ray-token-file'] },
    patterns,
    part,
    out,
    format,
    args: workerArguments(flags),
    device: device as RayJob['device'],
    actors: wholeNumber(flags, 'ray-workers'),
    cpus: wholeNumber(flags, 'ray-cpus'),
  };
}
