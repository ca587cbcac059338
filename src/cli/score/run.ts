import { stat } from 'node:fs/promises';
import { QalignError } from '../../base/errors.js';
import { withExclusiveFile } from '../../base/files/exclusive-file.js';
import { chooseModel, requireTasks } from '../../config/models.js';
import { loadPrompt } from '../../config/prompts.js';
import { argumentNames } from '../../media/find/argument-names.js';
import { isReadOnce, type SourceName } from '../../media/sources.js';
import type { Task } from '../../prompts/subject.js';
import { createCalibrator, loadCalibration, type Calibrator } from '../../recipes/evaluate/calibration-file.js';
import { defaultTasks } from '../../recipes/score/call-options.js';
import { requireDevices } from '../../recipes/score/devices.js';
import { requireFresh } from '../../recipes/score/result-file.js';
import { isFailure, type ScoreOutcome } from '../../api/result.js';
import type { Scorer, ScorerOptions, ScoreSource } from '../../recipes/score/scorer.js';
import type { CommandContext } from '../command.js';
import type { Paint } from '../terminal/colour.js';
import { createProgressBar, createSetupProgress } from '../terminal/progress.js';
import { visible } from '../terminal/visible.js';
import { lookAhead, readEarlier, scorerWithoutModel, type FirstLook } from './before-model.js';
import { readScoreFlags, type SCORE_FLAGS, type ScoreRequest, type SearchRequest } from './flags.js';
import { openSink, type ScoreSink } from './sink.js';
import { createTally, type Tally } from './summary.js';

/** What the command stands on; tests bring a scorer without Python. */
export interface ScoreCommandParts {
  createScorer(options: ScorerOptions): Promise<Scorer>;
  expandSources(
    inputs: readonly SourceName[],
    options: SearchRequest & {
      readonly once: true;
      readonly signal: AbortSignal;
      readonly onPassedOver?: Tally['passedOver'];
      readonly onEmptyFolder?: Tally['emptyFolder'];
    },
  ): AsyncIterable<ScoreSource>;
}

export async function runScore(context: CommandContext<typeof SCORE_FLAGS>, parts: ScoreCommandParts): Promise<number> {
  const { terminal, signal } = context;
  const request = readScoreFlags(context.flags, terminal.outIsTerminal);
  if (context.args.length === 0)
    throw new QalignError(
      'USAGE',
      'qalign score: name at least one picture, clip, folder or glob, or "-" to read a list from stdin.',
    );
  const { out } = request;
  const run = (): Promise<number> => scoreInto(context, parts, request);
  if (out === undefined || (await isDevice(out))) return run();
  // another run that takes failures out of the file would leave this one writing where nobody looks
  const onWait = (pid: number): void => terminal.progress(`waiting for process ${pid}, which writes ${out}`);
  return withExclusiveFile(`${out}.lock`, run, { place: out, onWait, signal });
}

const isDevice = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => !found.isFile(),
    () => false,
  );

async function scoreInto(
  context: CommandContext<typeof SCORE_FLAGS>,
  parts: ScoreCommandParts,
  request: ScoreRequest,
): Promise<number> {
  const { terminal } = context;
  const { out, scorer: options } = request;
  const calibration = request.calibration === undefined ? undefined : await loadCalibration(request.calibration);
  if (out !== undefined && request.format !== 'json' && !request.resume) await requireFresh(out);
  // what can be refused without a model is refused here
  const choice = await chooseModel(options);
  const tasks = request.tasks.length > 0 ? request.tasks : defaultTasks({ choice });
  await requireTasks(choice, tasks);
  const prompt = await loadPrompt(options.prompt ?? choice.prompt);
  if (options.device !== undefined) requireDevices(options.device);
  const calibratorOf = (plain: string): Calibrator | undefined =>
    calibration === undefined ? undefined : createCalibrator(calibration, plain);
  const earlier = await readEarlier(request, {
    choice,
    prompt,
    versionOf: (plain) => calibratorOf(plain)?.scoreVersion ?? plain,
  });
  const tally = createTally(request.failBelow);
  const inputs = argumentNames(context.args);
  const found = expand(context, parts, request, inputs, tally);
  const look = await lookAhead(
    found,
    (source) => earlier === undefined || tasks.some((task) => earlier.owes(source, task)),
  );
  const needsModel = look.needsModel || earlier === undefined;
  const scorer = needsModel ? await loadModel(context, parts, options) : scorerWithoutModel(earlier.held?.scoreVersion);
  try {
    const calibrator = needsModel ? calibratorOf(scorer.scoreVersion) : undefined;
    const sink = await openSink(terminal, {
      ...request,
      scoreVersion: calibrator?.scoreVersion ?? scorer.scoreVersion,
      held: earlier?.held,
    });
    if (sink.kept > 0) terminal.say(`qalign: ${sink.kept} scores are in ${out} already`);
    if (!needsModel && look.kept > 0 && look.failed === 0) terminal.say('qalign: nothing is left to do');
    const write: ScoreSink['write'] = (outcomes) =>
      sink.write(calibrator === undefined ? outcomes : outcomes.map((outcome) => calibrator.apply(outcome)));
    return await scoreAll(context, parts, { scorer, sink: { ...sink, write }, request, inputs, tasks, tally, look });
  } finally {
    await scorer.close();
  }
}

async function loadModel(
  { args, terminal, signal, log }: CommandContext,
  parts: ScoreCommandParts,
  options: ScorerOptions,
): Promise<Scorer> {
  const scorer = await parts
    .createScorer({ ...options, log, signal, onProgress: createSetupProgress(terminal) })
    .catch((error: unknown) => {
      if (args.includes('-')) process.stdin.destroy(); // its writer must not keep this process alive
      throw error;
    });
  terminal.progress(undefined);
  if (scorer.choice.untrained)
    terminal.say(
      `qalign: ${scorer.choice.id} is untrained: its scores mean nothing and are for trying the tool only; name a trained model with --model (see "qalign models list").`,
    );
  return scorer;
}

function expand(
  { signal }: CommandContext,
  parts: ScoreCommandParts,
  { search }: ScoreRequest,
  inputs: readonly SourceName[],
  { passedOver, emptyFolder }: Tally,
): AsyncIterable<ScoreSource> {
  const told = { onPassedOver: passedOver, onEmptyFolder: emptyFolder };
  return parts.expandSources(inputs, { ...search, once: true, signal, ...told });
}

interface Scoring {
  readonly scorer: Pick<Scorer, 'scoreMany'>;
  readonly sink: ScoreSink;
  readonly request: ScoreRequest;
  readonly inputs: readonly SourceName[];
  readonly tasks: readonly Task[];
  readonly tally: Tally;
  readonly look: FirstLook;
}

async function scoreAll(
  context: CommandContext,
  parts: ScoreCommandParts,
  { scorer, sink, request, inputs, tasks, tally, look }: Scoring,
): Promise<number> {
  const { terminal, signal } = context;
  const bar = createProgressBar(terminal);
  const started = performance.now();
  // what can be read once only is not counted beforehand
  if (terminal.errIsTerminal && !(await Promise.all(inputs.map(isReadOnce))).includes(true))
    void countInto(bar, parts.expandSources(inputs, { ...request.search, once: true, signal, hash: false }));
  for (let kept = 0; kept < look.kept; kept += 1) {
    tally.add([]);
    bar.step({ kept: true });
  }
  let complete = false;
  try {
    for await (const outcomes of scorer.scoreMany(look.sources, {
      tasks,
      signal,
      strict: request.strict,
      tasksOf: (source) => sink.missing(source, tasks),
    })) {
      await sink.write(outcomes);
      const { failed } = tally.add(outcomes);
      bar.step({ failed, kept: outcomes.length === 0 });
      // a table on the terminal shows them where they stand; data elsewhere does not catch the eye
      if (request.format !== 'table' || !terminal.outIsTerminal)
        for (const line of new Set(outcomes.flatMap((one) => troubles(one, terminal.paintErr)))) terminal.say(line);
    }
    complete = !signal.aborted;
  } finally {
    bar.finish();
    await sink.close(complete);
    const end = {
      elapsedMs: performance.now() - started,
      changed: sink.changed(),
      keptLow: sink.keptLow,
      complete,
      out: request.out,
      paint: terminal.paintErr,
    };
    if (tally.inputs > 0 || complete) for (const line of tally.lines(end)) terminal.say(`qalign: ${line}`);
    if (!complete && request.out !== undefined && (request.format === 'jsonl' || request.format === 'csv'))
      terminal.say('qalign: add --resume to the same command to continue');
  }
  if (tally.inputs === 0) {
    terminal.say(`qalign: ${terminal.paintErr('red', 'error')}: no input is a picture or clip [MEDIA_NOT_FOUND]`);
    return 1;
  }
  return tally.failed > 0 ? 1 : tally.low + sink.keptLow > 0 ? 3 : 0;
}

/** What a person must know of an outcome, a line each. */
function troubles(outcome: ScoreOutcome, paint: Paint): string[] {
  const input = visible(outcome.input);
  if (isFailure(outcome)) {
    const { code, message } = outcome.error;
    return [`qalign: ${paint('red', 'error')}: ${input}: ${visible(message)} [${code}]`];
  }
  return outcome.warnings.map((warning) => `qalign: ${paint('yellow', 'warning')}: ${input}: ${visible(warning)}`);
}

/** Lets the bar know how many there will be; listing is much quicker than scoring. */
async function countInto(bar: { total(count: number): void }, sources: AsyncIterable<ScoreSource>): Promise<void> {
  let count = 0;
  try {
    for await (const _ of sources) count += 1;
    bar.total(count);
  } catch {
    // the scoring loop meets the same error and reports it
  }
}
