import { once } from 'node:events';
import { QalignError } from '../base/errors.js';
import { indexResults, type Results } from '../recipes/view/results.js';
import { findViewTarget, type ViewTarget } from '../recipes/view/target.js';
import { serveView } from '../server/view/serve-view.js';
import { defineCommand, type CommandContext } from './command.js';
import { openBrowser } from './open-browser.js';

export const view = defineCommand({
  name: 'view',
  summary: 'show stored scores, runs or an evaluation as a page in the browser, without a model',
  args: 'FILE|RUN…|EVALUATION',
  description:
    'Shows the rows of a JSON lines, CSV or Parquet file of "qalign score", one or more runs, or an evaluation. The page is only on this machine, at 127.0.0.1, below a secret part of its address. It reads the named file or folder, and the pictures that its rows name. It writes nothing. Ctrl-C ends it.',
  examples: ['qalign view scores.jsonl', 'qalign view koniq koniq-2', 'qalign view evaluations/koniq --no-open'],
  endsBySignal: true,
  flags: {
    port: { type: 'number', value: 'N', help: 'port to listen on (default: a free port)' },
    'no-open': { type: 'boolean', help: 'print the address and do not open the browser' },
  },
  async run({ args, flags, terminal, log, signal }) {
    const port = flags.port ?? 0;
    if (!Number.isInteger(port) || port < 0 || port > 65_535)
      throw new QalignError('USAGE', `qalign view: --port needs a number from 0 to 65535, not ${port}.`);
    const targets = await findTargets(args);
    const [{ kind, path }] = targets;
    const results = kind === 'results' ? await readResults(path, { terminal, signal }) : undefined;
    try {
      const shown =
        results === undefined
          ? { kind: kind as 'run' | 'evaluation', folders: targets.map((target) => target.path) }
          : ({ kind: 'results', results } as const);
      const page = await serveView(shown, { port, log });
      await terminal.out(`${page.url}\n`);
      terminal.say('The page is open until Ctrl-C.');
      if (!flags['no-open']) openBrowser(page.url);
      if (!signal.aborted) await once(signal, 'abort');
      await page.close();
    } finally {
      results?.close();
    }
    return 0;
  },
});

/** @throws QalignError USAGE unless it is one target, or several runs */
async function findTargets(names: readonly string[]): Promise<[ViewTarget, ...ViewTarget[]]> {
  const [first, ...rest] = await Promise.all(names.map((name) => findViewTarget(name)));
  if (first === undefined)
    throw new QalignError(
      'USAGE',
      'qalign view: name a results file, a run or an evaluation; see "qalign view --help".',
    );
  if (rest.length > 0 && [first, ...rest].some(({ kind }) => kind !== 'run'))
    throw new QalignError('USAGE', 'qalign view: name one results file or evaluation, or only runs.');
  return [first, ...rest];
}

async function readResults(
  path: string,
  { terminal, signal }: Pick<CommandContext, 'terminal' | 'signal'>,
): Promise<Results> {
  const results = await indexResults(path, {
    signal,
    onProgress: (rows) => terminal.progress(`reading ${path}: ${rows} rows`),
  });
  terminal.progress(undefined);
  if (results.summary.cut)
    terminal.say(`The last line of ${path} is not complete and is left out; its writer was killed, or still writes.`);
  return results;
}
