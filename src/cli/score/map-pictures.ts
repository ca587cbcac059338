import { isFailure, type ScoreOutcome } from '../../api/result.js';
import { QalignError } from '../../base/errors.js';
import type { ScoreSource } from '../../recipes/score/scorer.js';
import type { MapPictureOptions } from '../../recipes/score/map/map-picture.js';
import type { CommandContext } from '../command.js';
import { visible } from '../terminal/visible.js';

/** Writes the pictures of `--map-out`. */
export interface MapPictures {
  /** The same sources. Each is remembered until the outcomes of its input are written. */
  watch(sources: AsyncIterable<ScoreSource>): AsyncIterable<ScoreSource>;
  /** Writes the pictures of the next input, in the order of the sources. @throws QalignError OUTPUT_UNWRITABLE */
  write(outcomes: readonly ScoreOutcome[]): Promise<void>;
}

export function mapPictures(
  { terminal, signal }: Pick<CommandContext, 'terminal' | 'signal'>,
  folder: string,
  options: Pick<MapPictureOptions, 'autoOrient' | 'severalModels'>,
): MapPictures {
  const waiting: ScoreSource[] = [];
  return {
    async *watch(sources) {
      for await (const source of sources) {
        waiting.push(source);
        yield source;
      }
    },
    async write(outcomes) {
      const { writeMapPicture } = await import('../../recipes/score/map/map-picture.js');
      const source = waiting.shift();
      for (const outcome of outcomes) {
        if (source === undefined || isFailure(outcome)) continue;
        try {
          await writeMapPicture(folder, outcome, source.media, { ...options, signal });
        } catch (error) {
          // the file was changed or removed after it was scored
          if (!(error instanceof QalignError) || !error.code.startsWith('MEDIA_')) throw error;
          terminal.say(`qalign: ${visible(outcome.input)}: its map was not drawn: ${visible(error.message)}`);
        }
      }
    },
  };
}
