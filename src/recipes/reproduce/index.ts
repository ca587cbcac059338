import { hint } from '../../base/suggest.js';
import { QalignError } from '../../base/errors.js';
import type { Missing } from '../evaluate/ready.js';
import type { GridName, ReproducedTable, ReproduceOptions } from './table.js';

export interface TableEntry {
  readonly summary: string;
  /** Required options. */
  readonly needs: readonly ('labels' | 'data' | 'model')[];
  /** Lists what is missing on this machine and how to get it. Called before anything runs. */
  plan?(options: ReproduceOptions): Promise<Missing[]>;
  load(): Promise<(options: ReproduceOptions) => Promise<ReproducedTable>>;
}

/**
 * The tables of the paper that can be reproduced, in the paper's order. This folder measures nothing itself: it calls
 * the other recipes. To add a table, write `<table>.ts` and add an entry here.
 */
export const TABLES: Readonly<Record<string, TableEntry>> = {
  table1: {
    summary: 'how a model answers a request to rate: with adjectives or numbers',
    needs: [],
    plan: async (options) => (await import('./table1.js')).planTable1(options),
    load: async () => (await import('./table1.js')).table1,
  },
  table2: {
    summary: 'how precise the levels are: their correlation with the MOS',
    needs: ['labels'],
    load: async () => (await import('./table2.js')).table2,
  },
  table3: grid('table3', 'IQA, trained on one data set'),
  table4: grid('table4', 'IQA, trained on mixed data sets'),
  table5: grid('table5', 'VQA'),
  table6: grid('table6', 'IAA'),
  table7: grid('table7', 'one model for IQA, IAA and VQA'),
  table8: {
    summary: 'epochs to converge: a small training on this machine, measured after each epoch',
    needs: [],
    plan: async (options) => (await import('./training.js')).planExperiment('koniq', options),
    load: async () => (await import('./training.js')).table8,
  },
  table9: {
    summary: 'latency and throughput of pictures by batch size',
    needs: [],
    plan: planModel,
    load: async () => (await import('./speed.js')).table9,
  },
  table10: {
    summary: 'latency of clips by length',
    needs: [],
    plan: planModel,
    load: async () => (await import('./speed.js')).table10,
  },
  table11: {
    summary: 'levels against scores: two small trainings on this machine',
    needs: [],
    plan: async (options) => (await import('./training.js')).planExperiment('score-text', options),
    load: async () => (await import('./training.js')).table11,
  },
  table12: {
    summary: 'logits, probabilities and score of pictures, as figures',
    needs: [],
    plan: planModel,
    load: async () => (await import('./table12.js')).table12,
  },
};

function grid(name: GridName, summary: string): TableEntry {
  return {
    summary,
    needs: [],
    plan: async (options) => (await import('./grid.js')).planGrid(name, options),
    load: async () => async (options) => (await import('./grid.js')).reproduceGrid(name, options),
  };
}

/** The table runs with any model; the paper uses OneAlign. */
async function planModel({ model }: ReproduceOptions): Promise<Missing[]> {
  return (await import('../evaluate/ready.js')).missingModel(model ?? 'one-align');
}

/**
 * Lists what a table needs and this machine does not have. Starts nothing.
 * @throws QalignError USAGE for an unknown table
 */
export async function planTable(name: string, options: ReproduceOptions): Promise<Missing[]> {
  const entry = entryOf(name);
  const flags = entry.needs
    .filter((need) => options[need] === undefined)
    .map((need) => ({
      what: `the option --${need}, which ${name} requires`,
      how: `qalign reproduce ${name} --${need} ${need === 'model' ? 'NAME' : 'DIR'}`,
    }));
  return [...flags, ...((await entry.plan?.(options)) ?? [])];
}

function entryOf(name: string): TableEntry {
  const entry = Object.hasOwn(TABLES, name) ? TABLES[name] : undefined;
  if (entry === undefined)
    throw new QalignError('USAGE', `There is no table "${name}" to reproduce${hint(name, Object.keys(TABLES))}.`);
  return entry;
}

/**
 * Computes one table of the paper, beside the paper's figures.
 * @throws QalignError USAGE for an unknown table or a missing option; all errors of the computation
 * @example
 * ```ts
 * const { rows, notes } = await reproduce('table2', { labels: 'labels' });
 * console.log(rows, notes);
 * ```
 */
export async function reproduce(name: string, options: ReproduceOptions): Promise<ReproducedTable> {
  const entry = entryOf(name);
  const missing = entry.needs.find((need) => options[need] === undefined);
  if (missing !== undefined) throw new QalignError('USAGE', `${name} requires --${missing}.`);
  return (await entry.load())(options);
}
