import type { Command, CommandGroup } from './command.js';

export interface Row {
  /** The command's own, held equal by a test: importing all commands for `qalign --help` takes 3 s. */
  readonly summary: string;
  /** Imported only when the verb is used: `score` does not load a web server. */
  load(): Promise<Command | CommandGroup>;
}

/** Every verb, in the order of the help. A new one: a file `src/cli/<verb>.ts` and a row here. */
export const REGISTRY: Readonly<Record<string, Row>> = {
  score: {
    summary: 'score pictures and clips: files, folders, globs, "-" for a list on stdin',
    load: async () => (await import('./score/score.js')).score,
  },
  models: { summary: 'list, fetch and inspect models', load: async () => (await import('./models.js')).models },
  workers: { summary: 'workers on other hosts', load: async () => (await import('./workers.js')).workers },
  bench: {
    summary:
      'measure preparation, bridge, model, end to end, memory, the HTTP service, order of distortions; prints and writes JSON',
    load: async () => (await import('./bench.js')).bench,
  },
  doctor: {
    summary: 'report what is installed, what is missing and what that costs',
    load: async () => (await import('./doctor.js')).doctor,
  },
  dataset: {
    summary: 'label files to records: list, convert, report, check, split, sample',
    load: async () => (await import('./dataset/dataset.js')).dataset,
  },
  reproduce: {
    summary: "compute a table of the paper and print it beside the paper's figures",
    load: async () => (await import('./reproduce.js')).reproduce,
  },
  train: { summary: 'train a model by a recipe', load: async () => (await import('./train.js')).train },
  evaluate: {
    summary: 'correlations with mean opinion scores, with intervals, by a recipe',
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
  serve: {
    summary: 'answer over HTTP: scores, jobs, training runs',
    load: async () => (await import('./serve.js')).serve,
  },
  keys: {
    summary: 'API keys of the service: create, list, revoke',
    load: async () => (await import('./keys.js')).keys,
  },
};
