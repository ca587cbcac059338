import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { TrainRecipe } from '../../config/train.js';
import { QalignError } from '../../base/errors.js';
import { renderQuestion, type PromptTemplate } from '../../prompts/render.js';
import { LEVELS, LEVEL_VALUES } from '../../scoring/levels.js';
import type { PreparedMedia } from '../../media/preparer.js';
import type { FrameForm } from '../../media/views/views.js';
import type { TrainRecord } from './records.js';

/** A record and the index of its first frame in the pixel file. Records can share frames. */
export interface Written {
  readonly record: TrainRecord;
  readonly firstFrame: number;
}

/** The place in the pixel file of frames that are not squares: offset in bytes, and the size of each frame. */
interface Rectangle {
  readonly offset: number;
  readonly height: number;
  readonly width: number;
}

/** Writes the pixel file of a split, collects its rows, and hashes both. */
export class SplitWriter {
  readonly rows: string[] = [];
  frames = 0;
  bytes = 0;
  #hash = createHash('sha256');

  /**
   * @param prompts prompts that the records use in turn; if empty, each record uses its own question in the published
   * training format
   */
  constructor(
    private readonly pixels: FileHandle,
    private readonly form: FrameForm,
    private readonly recipe: TrainRecipe,
    private readonly prompts: readonly PromptTemplate[],
  ) {}

  /** @throws QalignError TRAINING_DOES_NOT_FIT if the pixels exceed `data.max_disk_gb` */
  async add(
    record: TrainRecord,
    { data, frames, shape }: Pick<PreparedMedia, 'data' | 'frames' | 'shape'>,
  ): Promise<Written> {
    const firstFrame = this.frames;
    this.addRow(record, firstFrame, frames, shape && { offset: this.bytes, height: shape.height, width: shape.width });
    this.frames += frames;
    this.bytes += data.length;
    if (this.bytes > this.recipe.data.max_disk_gb * 1e9)
      throw new QalignError(
        'TRAINING_DOES_NOT_FIT',
        `The prepared pictures exceed data.max_disk_gb (${this.recipe.data.max_disk_gb} GB); raise it, or use fewer records.`,
      );
    this.#hash.update(data);
    await this.pixels.writeFile(data);
    return { record, firstFrame };
  }

  /** Adds an item that uses frames of the file. `place` is the place of frames that are not squares. */
  addRow(record: TrainRecord, firstFrame: number, frames: number, place: Rectangle | undefined = undefined): void {
    const prompt = this.prompts[this.rows.length % Math.max(1, this.prompts.length)];
    const values = preparedRow(record, this.recipe, prompt);
    const row = JSON.stringify({ ...values, first_frame: firstFrame, frames, ...place });
    this.#hash.update(row);
    this.rows.push(row);
  }

  close(): Promise<void> {
    return this.pixels.close();
  }

  summary(): object {
    const { preparation } = this.form;
    return {
      ...(preparation === undefined ? this.form : { layout: 'rectangles', preparation }),
      items: this.rows.length,
      frames: this.frames,
      bytes: this.bytes,
      sha256: this.#hash.digest('hex'),
    };
  }
}

/** The row of an item as Python reads it. Missing values are omitted, never null. */
function preparedRow(record: TrainRecord, recipe: TrainRecipe, template: PromptTemplate | undefined): object {
  const [worst, best] = recipe.data.mos_range ?? [1, 5];
  const probs =
    recipe.soft_label_sigma !== null && record.mos !== undefined
      ? gaussianLevels(1 + (4 * (record.mos - worst)) / (best - worst), recipe.soft_label_sigma)
      : record.level_probs;
  const { id, dataset, question, mos, mos_std, series, order } = record;
  const asked =
    template === undefined ? undefined : renderQuestion(template, record.task ?? 'quality', record.kind ?? 'image');
  const [prompt, stem] = typeof asked === 'object' ? [asked.text, asked.stem] : [asked];
  // a scoring prompt ends before the level, so the answer is only the level
  const answer = prompt === undefined ? record.answer : (record.answer.split(' is ').at(-1) ?? record.answer);
  const level =
    recipe.score_text || !(LEVELS as readonly (string | undefined)[]).includes(record.level) ? undefined : record.level;
  return {
    id,
    dataset,
    question,
    prompt,
    stem,
    answer,
    mos,
    mos_std,
    series,
    order,
    level,
    level_probs: recipe.score_text ? undefined : probs,
  };
}

/** Normal density around a MOS (1–5) at the five levels, normalised to 1. */
export function gaussianLevels(mos: number, sigma: number): number[] {
  const raw = LEVEL_VALUES.mos5.map((value) => Math.exp(-0.5 * ((value - mos) / sigma) ** 2));
  const sum = raw.reduce((a, b) => a + b, 0);
  return sum > 0 ? raw.map((p) => p / sum) : LEVEL_VALUES.mos5.map((value) => Number(Math.round(mos) === value));
}
