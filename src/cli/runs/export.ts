import { existsSync } from 'node:fs';
import { chmod, cp, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { makeWhole } from '../../base/files/whole-file.js';
import { findRun, runsRoot } from '../../runs/run-directory.js';
import { defineCommand } from '../command.js';
import { asJson } from '../terminal/json.js';
import { JSON_FLAG } from './run-line.js';
import { reasonOf } from '../../base/files/reason.js';

export const exportRun = defineCommand({
  name: 'runs export',
  summary: 'copy the trained model, or its LoRA adapter, of a completed run',
  args: 'RUN DIRECTORY',
  examples: ['qalign runs export koniq models/koniq', 'qalign runs export koniq models/koniq-best --best'],
  flags: {
    ...JSON_FLAG,
    best: { type: 'boolean', help: 'copy the weights of the best evaluation, which keep_best keeps' },
    adapter: { type: 'boolean', help: 'copy the LoRA adapter in the layout of PEFT instead of the whole model' },
  },
  async run({ args: [id, target], flags, terminal }) {
    if (id === undefined || target === undefined)
      throw new QalignError('USAGE', 'qalign runs export: name a run and a directory.');
    const what = flags.adapter ? 'adapter' : 'model';
    const folder = findRun(runsRoot(), id);
    const source = flags.best ? join(folder, 'best', what) : join(folder, what);
    if (!existsSync(source)) {
      const isWithoutBest = flags.best && existsSync(join(folder, what));
      throw new QalignError(
        'RUN_NOT_FOUND',
        isWithoutBest
          ? `The run ${id} did not keep its best evaluation; set keep_best in the recipe of the next run.`
          : `The run ${id} has no ${what} yet; "qalign runs resume ${id}" completes it.`,
      );
    }
    await copyWhole(source, resolve(target));
    await terminal.out(flags.json ? asJson({ run: id, path: resolve(target) }) : `${resolve(target)}\n`);
    return 0;
  },
});

/** Copies a folder. The target appears complete or not at all, and never replaces an existing path. */
export async function copyWhole(source: string, target: string): Promise<void> {
  if (existsSync(target)) throw new QalignError('OUTPUT_UNWRITABLE', `${target} already exists; name a new directory.`);
  await guardWrite(
    () =>
      makeWhole(target, async (draft) => {
        await cp(source, draft, { recursive: true });
        await openToUmask(draft);
      }),
    (error) => `${target} could not be written: ${reasonOf(error)}.`,
  );
}

/** Gives copies the modes of new files: only the owner can read the weights of earlier runs, and a copy keeps modes. */
async function openToUmask(folder: string): Promise<void> {
  const allowed = ~process.umask();
  for (const name of await readdir(folder, { recursive: true })) {
    const path = join(folder, name);
    await chmod(path, ((await stat(path)).isDirectory() ? 0o777 : 0o666) & allowed);
  }
}
