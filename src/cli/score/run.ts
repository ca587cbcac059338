import { stat } from 'node:fs/promises';
import { QalignError } from '../../base/errors.js';
import { withExclusiveFile } from '../../base/files/exclusive-file.js';
import { createCalibrator, loadCalibration } from '../../recipes/evaluate/calibration-file.js';
import { requireFresh } from '../../recipes/score/result-file.js';
import { isFailure } from '../../api/result.js';
import type { Scorer, ScorerOptions, ScoreSource } from '../../recipes/score/scorer.js';
import type { CommandContext } from '../command.js';
import { createProgressBar, createSetupProgress } from '../terminal/progress.js';
import { readScoreFlags, type SCORE_FLAGS } from './flags.js';
import { openSink, type ScoreSink } from './sink.js';

/** What the command stands on; tests bring a scorer without Python. */
export interface ScoreCommandParts {
  createScorer(options: ScorerOptions): Promise<Scorer>;
  expandSources(
    inputs: readonly string[],
    options: { allowUrls: boolean; signal: AbortSignal },
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
  request: ReturnType<typeof readScoreFlags>,
): Promise<number> {
  const { terminal, signal, log } = context;
  const calibration = request.calibration === undefined ? undefined : await loadCalibration(request.calibration);
  if (request.out !== undefined && request.format !== 'json' && !request.resume) await requireFresh(request.out);
  const scorer = await parts.createScorer({
    ...request.scorer,
    log,
    signal,
    onProgress: createSetupProgress(terminal),
  });
  try {
    if (scorer.choice.untrained)
      terminal.say(
        `qalign: ${scorer.choice.id} is untrained: its scores mean nothing and are for trying the tool only; name a trained model with --model (see "qalign models list").`,
      );
    terminal.progress(undefined);
    const calibrator = calibration === undefined ? undefined : createCalibrator(calibration, scorer.scoreVersion);
    const sink = await openSink(terminal, {
      ...request,
      scoreVersion: calibrator?.scoreVersion ?? scorer.scoreVersion,
    });
    if (sink.kept > 0) terminal.say(`qalign: ${sink.kept} scores are in ${request.out} already`);
    return await scoreAll(
      context,
      parts,
      scorer,
      {
        ...sink,
        write: (outcomes) =>
          sink.write(calibrator === undefined ? outcomes : outcomes.map((outcome) => calibrator.apply(outcome))),
      },
      request,
    );
  } finally {
    await scorer.close();
  }
}

async function scoreAll(
  context: CommandContext,
  parts: ScoreCommandParts,
  scorer: Scorer,
  sink: ScoreSink,
  request: ReturnType<typeof readScoreFlags>,
): Promise<number> {
  const { terminal, signal } = context;
  const tasks = request.tasks.length > 0 ? request.tasks : defaultTasks(scorer);
  const bar = createProgressBar(terminal);
  const expand = (): AsyncIterable<ScoreSource> =>
    parts.expandSources(context.args, { allowUrls: request.scorer.allowUrls === true, signal });
  // stdin can be read once only, and URLs should be
  if (terminal.errIsTerminal && !context.args.some((input) => input === '-' || input.includes('://')))
    void countInto(bar, expand());
  let [inputs, failed, low] = [0, 0, sink.keptLow];
  let complete = false;
  try {
    for await (const outcomes of scorer.scoreMany(expand(), {
      tasks,
      signal,
      tasksOf: (source) => sink.missing(source.input, tasks),
    })) {
      await sink.write(outcomes);
      inputs += 1;
      const failures = outcomes.filter(isFailure);
      failed += failures.length;
      low += outcomes.filter(
        (outcome) => !isFailure(outcome) && request.failBelow !== undefined && outcome.score < request.failBelow,
      ).length;
      bar.step(failures.length > 0);
      // a table shows them where they stand; data on stdout or in a file does not catch the eye
      if (request.format !== 'table')
        for (const line of new Set(
          failures.map(({ input, error }) => `qalign: ${input}: ${error.message} [${error.code}]`),
        ))
          terminal.say(line);
    }
    complete = true;
  } finally {
    bar.finish();
    await sink.close(complete && !signal.aborted);
  }
  if (inputs === 0) {
    terminal.say('qalign: there is no picture or clip among the inputs [MEDIA_NOT_FOUND]');
    return 1;
  }
  if (low > 0) terminal.say(`qalign: ${low} ${low === 1 ? 'score is' : 'scores are'} under ${request.failBelow}`);
  return failed > 0 ? 1 : low > 0 ? 3 : 0;
}

function defaultTasks(scorer: Scorer): readonly ['quality' | 'aesthetics'] {
  return [scorer.choice.tasks === undefined || scorer.choice.tasks.quality !== undefined ? 'quality' : 'aesthetics'];
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
