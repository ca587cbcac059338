/** The boundary of src/cli/action: the step of the GitHub Action in action.yml. It scores like `qalign score`. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ScoreOutcome } from '../../api/result.js';
import { lookThrough } from '../../media/find/search.js';
import { expandSources, type MediaSource } from '../../media/sources.js';
import { parseLine, type FlagValues } from '../command.js';
import { report, type RunContext } from '../run.js';
import type { SCORE_FLAGS } from '../score/flags.js';
import type { ScoreCommandParts } from '../score/pass.js';
import { runScore } from '../score/run.js';
import { score } from '../score/score.js';
import { chooseBase } from './base.js';
import { changedFiles, wantedFiles } from './changed-files.js';
import { createGit } from './git.js';
import { readInputs, type ActionInputs } from './inputs.js';
import { figuresLine, figuresOf, summaryOf, summaryText, type Figures } from './summary.js';
import { openWorkflow, type Workflow } from './workflow.js';

export interface ActionParts extends RunContext {
  readonly env: NodeJS.ProcessEnv;
  /** The working directory: paths are relative to it. */
  readonly folder: string;
  /** Writes a log line that the runner can execute as a workflow command. */
  readonly command: (line: string) => void;
  readonly createScorer: ScoreCommandParts['createScorer'];
}

const NOTHING: Figures = { count: 0, failed: 0, below: 0, mean: undefined, lowest: undefined };

interface Ended {
  readonly code: number;
  /** The text of the annotation. */
  readonly sentence: string;
}

/** Scores, writes outputs and summary, and returns the exit code of `qalign score`. Reports errors of the user. */
export async function runAction(parts: ActionParts): Promise<number> {
  const workflow = openWorkflow(parts.env, parts.command);
  const { code, sentence } = await workflow.quoted(() => scoreOrSay(workflow, parts));
  workflow.annotate(code === 0 ? 'notice' : 'error', sentence);
  return code;
}

async function scoreOrSay(workflow: Workflow, parts: ActionParts): Promise<Ended> {
  let sentence = 'The run was stopped.';
  const say = (text: string): void => {
    sentence = text;
    parts.terminal.say(text);
  };
  try {
    return await scoreFor(workflow, parts);
  } catch (error) {
    const code = report(error, { ...parts, terminal: { ...parts.terminal, say } });
    await workflow.summary(summaryText([sentence]));
    return { code, sentence };
  }
}

async function scoreFor(workflow: Workflow, parts: ActionParts): Promise<Ended> {
  const inputs = readInputs(parts.env);
  const found = await sourcesFor(workflow, inputs, parts);
  const first = await found.next();
  if (first.done === true) {
    const sentence = inputs.changedOnly ? 'No picture or clip changed.' : 'No picture or clip was found.';
    parts.terminal.say(`qalign: ${sentence}`);
    await workflow.output(outputsOf(NOTHING, ''));
    await workflow.summary(summaryText([sentence]));
    return { code: 0, sentence };
  }
  const results = join(await workflow.resultsFolder(), 'scores.jsonl');
  const code = await scoreInto(results, chain(first.value, found), inputs, parts);
  const outcomes = await readOutcomes(results);
  const figures = figuresOf(outcomes, inputs.failBelow);
  await workflow.output(outputsOf(figures, results));
  await workflow.summary(summaryOf({ outcomes, failBelow: inputs.failBelow, model: inputs.model }));
  return { code, sentence: figuresLine(figures, inputs.failBelow) };
}

const outputsOf = ({ count, failed, below, mean, lowest }: Figures, results: string): Record<string, string> => ({
  count: `${count}`,
  failed: `${failed}`,
  below: `${below}`,
  mean: mean === undefined ? '' : mean.toFixed(4),
  lowest: lowest === undefined ? '' : lowest.toFixed(4),
  results,
});

/** The pictures that changed according to git, or all pictures below the working directory. */
async function sourcesFor(
  workflow: Workflow,
  inputs: ActionInputs,
  { env, folder, signal }: ActionParts,
): Promise<AsyncGenerator<MediaSource, void, undefined>> {
  const { include, exclude } = inputs;
  if (!inputs.changedOnly) return expandSources(['.'], { include, exclude, signal });
  const git = createGit(folder, env['GITHUB_WORKSPACE'] === undefined ? [] : [env['GITHUB_WORKSPACE']]);
  const base = await chooseBase(git, {
    name: env['GITHUB_EVENT_NAME'] ?? '',
    ref: env['GITHUB_REF'] ?? '',
    event: await workflow.event(),
    base: inputs.base,
  });
  const files = base === undefined ? [] : await changedFiles(git, base);
  return lookThrough(wantedFiles(files, inputs), true, { signal });
}

async function* chain(
  first: MediaSource,
  rest: AsyncIterable<MediaSource>,
): AsyncGenerator<MediaSource, void, undefined> {
  yield first;
  yield* rest;
}

function scoreInto(
  results: string,
  sources: AsyncIterable<MediaSource>,
  { model, tasks, failBelow }: ActionInputs,
  { createScorer, terminal, log, signal }: ActionParts,
): Promise<number> {
  const words = [
    ...[`--model=${model}`, `--out=${results}`, ...tasks.map((task) => `--task=${task}`)],
    ...(failBelow === undefined ? [] : [`--fail-below=${failBelow}`]),
  ];
  const flags = parseLine(score, words).flags as FlagValues<typeof SCORE_FLAGS>;
  return runScore(
    // with a terminal, the command would search a second time to count the inputs
    {
      terminal: { ...terminal, errIsTerminal: false },
      log,
      signal,
      line: `qalign score ${words.join(' ')}`,
      args: ['.'],
      overrides: [],
      flags,
    },
    { createScorer, expandSources: () => sources },
  );
}

async function readOutcomes(path: string): Promise<ScoreOutcome[]> {
  const text = await readFile(path, 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ScoreOutcome);
}
