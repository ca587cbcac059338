import { signal, type Signal } from '@preact/signals';
import type { CurveName, TrainCurves } from '../../api/curves.js';
import type { RunEvent, TrainRun } from '../../api/runs.js';
import { createCurve, type Curve, type CurveColumns } from '../../report/curve.js';
import { client, explain, getText } from '../session.js';
import { follow, type Followed } from '../work/follow.js';

const POINTS = 300;
/** Events of this time are one rendering. */
const DRAW_MS = 400;
/** Names of the curves in plots, in the order of the page. */
export const LABELS: Readonly<Record<CurveName, string>> = {
  loss: 'loss',
  learning_rate: 'learning rate',
  grad_norm: 'gradient norm',
  images_per_s: 'images/s',
  mfu: 'MFU (0–1)',
  srcc: 'SRCC',
  plcc: 'PLCC',
};
export const NAMES = Object.keys(LABELS) as CurveName[];

export type RunCurves = Readonly<Record<CurveName, CurveColumns>>;

/** A training with its curves, which grow while it runs. */
export interface FollowedRun {
  readonly run: Signal<TrainRun | undefined>;
  readonly curves: Signal<RunCurves | undefined>;
  /** What happens before the first step. */
  readonly note: Signal<string | undefined>;
  readonly problem: Signal<string | undefined>;
  readonly isLost: () => boolean;
  /** Loads the run again, for example after it was resumed. */
  readonly reload: () => void;
  readonly stop: () => void;
}

export function followRun(id: string): FollowedRun {
  const run = signal<TrainRun | undefined>(undefined);
  const curves = signal<RunCurves | undefined>(undefined);
  const note = signal<string | undefined>(undefined);
  const problem = signal<string | undefined>(undefined);
  const stream = signal<Followed | undefined>(undefined);
  let thinned: Record<CurveName, Curve> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  const caught = (error: unknown): void => void (problem.value = explain(error));
  const draw = (): void => {
    timer = undefined;
    if (thinned === undefined) return;
    const entries = NAMES.map((name) => [name, thinned![name].columns()] as const);
    curves.value = Object.fromEntries(entries) as unknown as RunCurves;
  };
  const onEvent = (event: RunEvent): void => {
    if (event.event === 'end') return reload();
    note.value = noteOf(event);
    if (run.value !== undefined) run.value = { ...run.value, ...progressOf(event) };
    if (thinned !== undefined) addEvent(thinned, event);
    timer ??= setTimeout(draw, DRAW_MS);
  };
  const load = async (): Promise<void> => {
    const [found, answer] = await Promise.all([
      client.value.trainRuns.get(id),
      getText(`/v1/train_runs/${id}/curves?points=${POINTS}`),
    ]);
    const { curves: stored, last_event_id: last } = (await answer.json()) as TrainCurves;
    if (isOver) return;
    thinned = Object.fromEntries(NAMES.map((name) => [name, createCurve(POINTS, stored[name])])) as typeof thinned;
    [run.value, problem.value] = [found, undefined];
    draw();
    stream.value?.stop();
    stream.value =
      found.finished_at === null
        ? follow<RunEvent>((options) => client.value.trainRuns.events(id, options), onEvent, caught, last)
        : undefined;
    if (found.finished_at !== null) note.value = undefined;
  };
  const reload = (): void => void load().catch(caught);
  reload();
  return {
    run,
    curves,
    note,
    problem,
    isLost: () => stream.value?.isLost.value === true,
    reload,
    stop() {
      isOver = true;
      clearTimeout(timer);
      stream.value?.stop();
    },
  };
}

/** Fields of a run that an event changes. */
function progressOf(event: RunEvent): Partial<TrainRun> {
  const { event: kind, step, total_steps, loss, srcc, plcc } = event as RunEvent & Partial<TrainRun>;
  if (kind === 'started') return { status: 'running', total_steps: total_steps ?? null };
  if (kind === 'step') return { status: 'running', step: step ?? 0, loss: loss ?? null };
  return kind === 'evaluation' ? { srcc: srcc ?? null, plcc: plcc ?? null } : {};
}

function addEvent(curves: Readonly<Record<CurveName, Curve>>, event: RunEvent): void {
  if (event.event !== 'step' && event.event !== 'evaluation') return;
  for (const name of NAMES) {
    const [value, step] = [event[name], event['step']];
    if (typeof value === 'number' && typeof step === 'number') curves[name].push(step, value);
  }
}

function noteOf(event: RunEvent): string | undefined {
  const { event: kind, message, split, done, total, step, path } = event;
  if (kind === 'setup') return String(message);
  if (kind === 'preparing') return `Preparing ${String(split)}: ${String(done)} of ${String(total)} files.`;
  if (kind === 'measured') return `Computing features: ${String(done)} of ${String(total)}.`;
  if (kind === 'checkpoint') return `Checkpoint of step ${String(step)}.`;
  if (kind === 'checkpoint_failed') return `The checkpoint of step ${String(step)} failed: ${String(message)}`;
  return kind === 'exported' ? `The model is in ${String(path)}.` : undefined;
}
