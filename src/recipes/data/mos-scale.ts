import { loadDatasetSpec } from '../../config/datasets.js';

/**
 * Lowest and highest possible MOS of a data set from its description. Undefined if unknown, or if a score is outside
 * the scale.
 * @param source name of the label source in dataset.json, because some sources use another scale
 */
export async function mosScale(
  dataset: string,
  scores: ArrayLike<number>,
  source: string | null | undefined,
): Promise<readonly [number, number] | undefined> {
  const spec = await loadDatasetSpec(dataset).catch(() => undefined);
  const files = spec?.sources.find(({ name }) => name === source)?.files;
  if (spec === undefined || files === undefined) return undefined;
  const scale = files.find((file) => file.scale !== undefined)?.scale ?? spec.scale;
  const rounding = 1e-9 * (scale[1] - scale[0]);
  for (let i = 0; i < scores.length; i++)
    if (scores[i]! < scale[0] - rounding || scores[i]! > scale[1] + rounding) return undefined;
  return scale;
}
