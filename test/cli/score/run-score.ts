import { silentLogger } from '../../../src/base/logger.js';
import { parseLine, type CommandContext } from '../../../src/cli/command.js';
import type { SCORE_FLAGS } from '../../../src/cli/score/flags.js';
import { runScore } from '../../../src/cli/score/run.js';
import { score } from '../../../src/cli/score/score.js';
import type { SourceName } from '../../../src/media/sources.js';
import type { ScoreSource } from '../../../src/recipes/score/scorer.js';
import { fakeScorer, picture, type FakeLog } from '../../recipes/score/fake-scorer.js';
import { hearingTerminal, type Heard } from '../terminal/terminal-double.js';

export const newLog = (): FakeLog => ({ engineCalls: [], closed: 0 });

/** `qalign score` with a scorer that needs no Python; every argument is a picture, or a clip by its ending. */
export async function run(
  line: string[],
  {
    terminal = hearingTerminal(),
    log = newLog(),
    signal = new AbortController().signal,
  }: {
    readonly terminal?: ReturnType<typeof hearingTerminal>;
    readonly log?: FakeLog;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Heard & { log: FakeLog }> {
  async function* expandSources(inputs: readonly SourceName[]): AsyncGenerator<ScoreSource> {
    for (const input of inputs as readonly string[]) yield picture(input, input.endsWith('.mp4') ? 'video' : 'image');
  }
  const words = line.includes('--model') ? line : ['--model', 'tiny-untrained', ...line];
  const context = { ...parseLine(score, words), terminal, log: silentLogger, signal } as unknown as CommandContext<
    typeof SCORE_FLAGS
  >;
  terminal.heard.code = await runScore(context, { createScorer: (options) => fakeScorer(options, log), expandSources });
  return { ...terminal.heard, log };
}
