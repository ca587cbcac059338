import { isFailure, type ScoreFailure, type ScoreOutcome } from '../../api/result.js';
import type { SourceName } from '../../media/sources.js';
import { downloadNotice } from '../../recipes/models-here.js';
import type { Held, ResultsOfModel } from '../../recipes/score/result-file.js';
import type { Scorer, ScorerOptions, ScoreSource } from '../../recipes/score/scorer.js';
import type { CommandContext } from '../command.js';
import { createSetupProgress, type ProgressBar } from '../terminal/progress.js';
import { visible } from '../terminal/visible.js';
import { mapPictures } from './map-pictures.js';
import { lookAhead, readEarlier, scorerWithoutModel, type FirstLook } from './before-model.js';
import type { ModelPlan } from './models.js';
import type { ScoreRequest, SearchRequest } from './request.js';
import type { ScoreSink } from './sink.js';
import type { Tally } from './summary.js';

/** The dependencies of the command; tests pass a scorer without Python. */
export interface ScoreCommandParts {
  createScorer(options: ScorerOptions): Promise<Scorer>;
  expandSources(
    inputs: readonly SourceName[],
    options: SearchRequest & {
      readonly once: true;
      readonly signal: AbortSignal;
      readonly ahead?: number | undefined;
      readonly onPassedOver?: Tally['passedOver'];
      readonly onEmptyFolder?: Tally['emptyFolder'];
    },
  ): AsyncIterable<ScoreSource>;
}

/** State that the passes of a run share, such as the sink and the progress bar. */
export interface ScoreRun {
  readonly context: CommandContext;
  /** Prints an error to stderr, also with `--quiet`. */
  readonly tell: (line: string) => void;
  readonly parts: ScoreCommandParts;
  readonly request: ScoreRequest;
  /** The ids of the models, in a run with several. */
  readonly models: readonly string[] | undefined;
  readonly openSink: {
    (scoreVersion: string, held: Held | undefined): Promise<ScoreSink>;
    close(complete: boolean): Promise<void>;
  };
  /** Starts the bar on first use. */
  readonly bar: () => ProgressBar;
}

/** One model over all inputs. */
export interface PassOptions {
  readonly plan: ModelPlan;
  readonly sources: AsyncIterable<ScoreSource>;
  readonly tally: Tally;
  readonly isLast: boolean;
}

export interface Pass {
  readonly failed: number;
  /** Scores below `--fail-below`, including those of earlier runs. */
  readonly low: number;
}

export async function scorePass(run: ScoreRun, { plan, sources, tally, isLast }: PassOptions): Promise<Pass> {
  const { request, models, context } = run;
  const { choice, tasks } = plan;
  const earlier = await readEarlier(request, {
    ...plan,
    models,
    versionOf: (plain) => plan.calibratorOf(plain)?.rowVersion ?? plain,
  });
  const look = await lookAhead(
    sources,
    (source) => earlier === undefined || tasks.some((task) => earlier.owes(source, task)),
  );
  const needsModel = look.needsModel || earlier === undefined;
  const scorer = needsModel ? await loadModel(run, plan) : scorerWithoutModel(earlier.version);
  try {
    const calibrator = needsModel ? plan.calibratorOf(scorer.scoreVersion) : undefined;
    const scoreVersion = calibrator?.rowVersion ?? scorer.scoreVersion;
    const sink = await run.openSink(scoreVersion, earlier?.held);
    const held = sink.of(choice.id, scoreVersion);
    const named = models === undefined ? '' : `${choice.id}: `;
    if (held.kept > 0) context.terminal.say(`qalign: ${named}${held.kept} scores are already in ${request.out}`);
    if (!needsModel && look.kept > 0 && look.failed === 0)
      context.terminal.say(`qalign: ${named}nothing is left to do`);
    const finish = (outcome: ScoreOutcome): ScoreOutcome => {
      if (models !== undefined && isFailure(outcome)) return withModel(outcome, choice.id);
      return calibrator === undefined ? outcome : calibrator.apply(outcome);
    };
    const write: ScoreSink['write'] = (outcomes) => sink.write(outcomes.map(finish));
    await scoreAll(run, { plan, tally, isLast, scorer, look, held, write });
    return { failed: tally.failed, low: tally.low + held.keptLow };
  } finally {
    await scorer.close();
  }
}

function withModel({ error, ...input }: ScoreFailure, id: string): ScoreFailure {
  return { ...input, model: { id }, error };
}

async function loadModel({ context, parts }: ScoreRun, { options, choice }: ModelPlan): Promise<Scorer> {
  const { args, terminal, signal, log } = context;
  const notice = options.offline === true ? undefined : downloadNotice(choice);
  if (notice !== undefined) terminal.say(`qalign: ${notice}`);
  const scorer = await parts
    .createScorer({ ...options, log, signal, onProgress: createSetupProgress(terminal) })
    .catch((error: unknown) => {
      if (args.includes('-')) process.stdin.destroy(); // so that the writer of stdin does not keep this process alive
      throw error;
    });
  terminal.progress(undefined);
  if (scorer.choice.untrained)
    terminal.say(
      `qalign: ${scorer.choice.id} is untrained: its scores mean nothing and only serve to try the tool; name a trained model with --model (see "qalign models list").`,
    );
  else if (scorer.choice.taught === false)
    terminal.say(
      `qalign: ${scorer.choice.id} was not taught to rate: these are zero-shot scores, which are comparable with each other only.`,
    );
  return scorer;
}

interface Scoring extends Omit<PassOptions, 'sources'> {
  readonly scorer: Pick<Scorer, 'scoreMany'>;
  readonly look: FirstLook;
  readonly held: ResultsOfModel;
  readonly write: ScoreSink['write'];
}

async function scoreAll(run: ScoreRun, scoring: Scoring): Promise<void> {
  const { request, models, context } = run;
  const { plan, tally, isLast, scorer, look, held, write } = scoring;
  const { terminal, signal } = context;
  const { tasks, choice } = plan;
  const bar = run.bar();
  const started = performance.now();
  const say = reporter(run, models === undefined ? '' : `${choice.id}: `);
  const { autoOrient } = plan.options;
  const maps =
    request.mapOut && mapPictures(context, request.mapOut, { autoOrient, severalModels: models !== undefined });
  for (let kept = 0; kept < look.kept; kept += 1) {
    tally.add([]);
    bar.step({ kept: true });
  }
  let complete = false;
  try {
    for await (const outcomes of scorer.scoreMany(maps ? maps.watch(look.sources) : look.sources, {
      tasks,
      signal,
      strict: request.strict,
      map: request.map,
      perFrame: request.curve?.perFrame,
      perFrameWindow: request.curve?.perFrameWindow,
      tasksOf: (source) => held.missing(source, tasks),
    })) {
      if (maps) await maps.write(outcomes); // first, so that a row that is kept has its picture
      await write(outcomes);
      const { failed } = tally.add(outcomes);
      bar.step({ failed, kept: outcomes.length === 0 });
      say(outcomes);
    }
    complete = !signal.aborted;
  } finally {
    if (isLast || !complete) {
      bar.finish();
      await run.openSink.close(complete);
    } else bar.total(tally.inputs);
    const end = {
      elapsedMs: performance.now() - started,
      changed: held.changed,
      keptLow: held.keptLow,
      complete,
      out: request.out,
      map: request.map !== undefined,
      model: models === undefined ? undefined : choice.id,
      limit: tally.inputs === request.limit ? request.limit : undefined,
      paint: terminal.paintErr,
    };
    if (tally.inputs > 0 || complete) for (const line of tally.lines(end)) terminal.say(`qalign: ${line}`);
    if (!complete && request.resumable) terminal.say('qalign: add --resume to the same command to continue');
  }
}

/** Prints failures to stderr, and warnings unless quiet. */
function reporter(
  { context: { terminal }, request: { format, best }, tell }: ScoreRun,
  model: string,
): (outcomes: readonly ScoreOutcome[]) => void {
  // a table on the terminal already shows them
  const isShown = format === 'table' && terminal.outIsTerminal;
  return (outcomes) => {
    const lines = new Map<string, (line: string) => void>();
    const [error, warning] = [terminal.paintErr('red', 'error'), terminal.paintErr('yellow', 'warning')];
    for (const outcome of outcomes) {
      const input = `${model}${visible(outcome.input)}`;
      if (!isFailure(outcome)) {
        if (!isShown)
          for (const text of [...outcome.warnings, ...(outcome.map?.warnings ?? []).map((one) => `map: ${one}`)])
            lines.set(`qalign: ${warning}: ${input}: ${visible(text)}`, (line) => terminal.say(line));
      } else if (!isShown || best !== undefined)
        lines.set(`qalign: ${error}: ${input}: ${visible(outcome.error.message)} [${outcome.error.code}]`, tell);
    }
    for (const [line, write] of lines) write(line);
  };
}
