import { QalignError } from '../../base/errors.js';
import { isSpecial } from '../../base/files/draft.js';
import { withExclusiveFile } from '../../base/files/exclusive-file.js';
import type { Logger } from '../../base/logger.js';
import { argumentNames } from '../../media/find/argument-names.js';
import { isReadOnce, type SourceName } from '../../media/sources.js';
import type { ScoreSource } from '../../recipes/score/scorer.js';
import { makeFolder } from '../../base/files/unwritable.js';
import { requireFresh } from '../../recipes/score/result-file.js';
import type { CommandContext } from '../command.js';
import { requireReplaceable } from './curve-file.js';
import { createProgressBar } from '../terminal/progress.js';
import type { SCORE_FLAGS } from './flags.js';
import { planModels } from './models.js';
import { scorePass, type Pass, type ScoreCommandParts, type ScoreRun } from './pass.js';
import { createReplay } from './replay.js';
import { readScoreFlags, type ScoreRequest } from './request.js';
import { openSink, type ScoreSink } from './sink.js';
import { createTally } from './summary.js';

export async function runScore(context: CommandContext<typeof SCORE_FLAGS>, parts: ScoreCommandParts): Promise<number> {
  const request = readScoreFlags(context.flags, context.terminal.outIsTerminal);
  if (context.args.length === 0)
    throw new QalignError(
      'USAGE',
      'qalign score: name at least one picture, clip, folder or glob, or "-" to read a list from stdin.',
    );
  const { out } = request;
  const { terminal, signal } = request.quiet ? hushed(context) : context;
  const run = (): Promise<number> => scoreInto(context, parts, request);
  if (out === undefined) return run();
  if (await isSpecial(out)) {
    requireWithoutSidecar(out, request);
    return run();
  }
  // another run that removes failures replaces the file; this run would continue to write to the deleted file
  const onWait = (pid: number): void => terminal.progress(`waiting for process ${pid}, which writes ${out}`);
  return withExclusiveFile(`${out}.lock`, run, { place: out, onWait, signal });
}

function requireWithoutSidecar(out: string, { layout, format }: ScoreRequest): void {
  if (layout.kind === 'compact' && format !== 'parquet')
    throw new QalignError(
      'USAGE',
      `qalign score: --compact writes shared values beside the output file, but ${out} is not a regular file; name a file, or leave out --compact.`,
    );
}

/** The same context for `--quiet`, without messages and progress. Errors are written to the original terminal. */
function hushed(context: CommandContext): CommandContext {
  const nothing = (): void => {};
  const log: Logger = { ...context.log, debug: nothing, info: nothing, warn: nothing };
  return { ...context, log, terminal: { ...context.terminal, say: nothing, progress: nothing, errIsTerminal: false } };
}

async function scoreInto(
  loud: CommandContext<typeof SCORE_FLAGS>,
  parts: ScoreCommandParts,
  request: ScoreRequest,
): Promise<number> {
  const context = request.quiet ? hushed(loud) : loud;
  const { out, format, limit } = request;
  if (out !== undefined && format !== 'json' && !request.resume) await requireFresh(out);
  if (request.curve?.out !== undefined) await requireReplaceable(request.curve.out);
  if (request.mapOut !== undefined) await makeFolder(request.mapOut, 'use another --map-out');
  // reports errors that do not need a loaded model
  const plans = await planModels(request);
  const inputs = argumentNames(context.args);
  const tallies = plans.map(() => createTally(request.failBelow));
  const search = (names: readonly SourceName[], more: Partial<SearchOptions> = {}): AsyncIterable<ScoreSource> =>
    limited(parts.expandSources(names, { ...searchOptions(context, request), ...more }), limit);
  const { passedOver, emptyFolder } = tallies[0]!;
  const found = search(inputs, { onPassedOver: passedOver, onEmptyFolder: emptyFolder });
  const replay = plans.length > 1 ? await createReplay(found, (url) => search([url])) : undefined;
  const models = plans.length > 1 ? plans.map(({ choice }) => choice.id) : undefined;
  const run: ScoreRun = {
    context,
    tell: (line) => loud.terminal.say(line),
    parts,
    request,
    models,
    openSink: sharedSink(context, request, models, [...new Set(plans.flatMap(({ tasks }) => tasks))]),
    bar: lazily(() => {
      const bar = createProgressBar(context.terminal);
      const total = (count: number): void => bar.total(count * plans.length);
      void countInto(context, inputs, () => search(inputs, { hash: false }), total);
      return { ...bar, total };
    }),
  };
  const passes: Pass[] = [];
  try {
    for (const [at, plan] of plans.entries()) {
      const sources = at === 0 ? (replay?.first ?? found) : replay!.again();
      const tally = tallies[at]!;
      passes.push(await scorePass(run, { plan, sources, tally, isLast: at === plans.length - 1 }));
      if (tally.inputs > 0) continue;
      const error = loud.terminal.paintErr('red', 'error');
      loud.terminal.say(`qalign: ${error}: no input is a picture or clip [MEDIA_NOT_FOUND]`);
      return 1;
    }
  } finally {
    await run.openSink.close(false);
    await replay?.close();
    if (limit !== undefined && context.args.includes('-')) process.stdin.destroy(); // its writer can have more names
  }
  if (passes.some(({ failed }) => failed > 0)) return 1;
  return passes.some(({ low }) => low > 0) ? 3 : 0;
}

/** One sink for all models: the first model that is ready opens it, and it is closed only once. */
function sharedSink(
  { terminal }: CommandContext,
  request: ScoreRequest,
  models: ScoreRun['models'],
  tasks: ScoreRequest['tasks'],
): ScoreRun['openSink'] {
  let opened: ScoreSink | undefined;
  let closed = false;
  const open: ScoreRun['openSink'] = async (scoreVersion, held) => {
    const version = models === undefined ? scoreVersion : undefined;
    opened ??= await openSink(terminal, { ...request, tasks, models, scoreVersion: version, held });
    return opened;
  };
  open.close = async (complete) => {
    if (closed || opened === undefined) return;
    closed = true;
    await opened.close(complete);
  };
  return open;
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

type SearchOptions = Parameters<ScoreCommandParts['expandSources']>[1];

function searchOptions({ signal }: CommandContext, { search, limit }: ScoreRequest): SearchOptions {
  // inputs beyond the limit are not opened
  return { ...search, once: true, signal, ...(limit === undefined ? {} : { ahead: 1 }) };
}

/** Yields the first `limit` items of a sequence and reads no more. */
async function* limited<T>(source: AsyncIterable<T>, limit = Infinity): AsyncGenerator<T, void, undefined> {
  let count = 0;
  for await (const item of source) {
    yield item;
    count += 1;
    if (count >= limit) return;
  }
}

/** Counts the inputs for the progress bar; listing is much faster than scoring. */
async function countInto(
  { terminal }: CommandContext,
  inputs: readonly SourceName[],
  search: () => AsyncIterable<ScoreSource>,
  total: (count: number) => void,
): Promise<void> {
  // inputs that can be read only once are not counted
  if (!terminal.errIsTerminal || (await Promise.all(inputs.map(isReadOnce))).includes(true)) return;
  let count = 0;
  try {
    for await (const _ of search()) count += 1;
    total(count);
  } catch {
    // the scoring loop meets the same error and reports it
  }
}
