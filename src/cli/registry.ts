import type { Command, CommandGroup } from './command.js';

export interface Row {
  /**
   * Repeats the summary of the command (a test compares them): importing all commands for `qalign --help` takes 3 s.
   */
  readonly summary: string;
  /** Imported only when the verb is used: `score` does not load a web server. */
  load(): Promise<Command | CommandGroup>;
}

/** Every verb, in the order of the help. A new verb needs a file `src/cli/<verb>.ts` and a row here. */
export const REGISTRY: Readonly<Record<string, Row>> = {
  score: {
    summary: 'score pictures and clips: files, folders, globs, or "-" to read a list from stdin',
    load: async () => (await import('./score/score.js')).score,
  },
  models: { summary: 'list, fetch and inspect models', load: async () => (await import('./models.js')).models },
  workers: {
    summary: 'create keys for workers on other hosts',
    load: async () => (await import('./workers.js')).workers,
  },
  bench: {
    summary: 'measure speed, memory, the HTTP service and the order of distortions; print and write JSON',
    load: async () => (await import('./bench.js')).bench,
  },
  doctor: {
    summary: 'report what is installed, what is missing and what does not work without it',
    load: async () => (await import('./doctor.js')).doctor,
  },
  dataset: {
    summary: 'convert label files to records; list, report, check, split and sample them',
    load: async () => (await import('./dataset/dataset.js')).dataset,
  },
  reproduce: {
    summary: "compute a table of the paper and print it beside the paper's figures",
    load: async () => (await import('./reproduce.js')).reproduce,
  },
  train: { summary: 'train a model from a recipe', load: async () => (await import('./train.js')).train },
  evaluate: {
    summary: 'measure correlations with mean opinion scores, with confidence intervals, from a recipe',
    load: async () => (await import('./evaluate.js')).evaluate,
  },
  calibrate: {
    summary: "fit a model's scores to the MOS scale of a data set",
    load: async () => (await import('./calibrate.js')).calibrate,
  },
  runs: {
    summary: 'list, show, watch, stop, resume, compare, export and join training runs',
    load: async () => (await import('./runs/runs.js')).runs,
  },
  view: {
    summary: 'show stored scores, runs or an evaluation as a page in the browser, without a model',
    load: async () => (await import('./view.js')).view,
  },
  serve: {
    summary: 'serve scores, jobs and training runs over HTTP',
    load: async () => (await import('./serve.js')).serve,
  },
  keys: {
    summary: 'create, list and revoke API keys of the service',
    load: async () => (await import('./keys.js')).keys,
  },
};
