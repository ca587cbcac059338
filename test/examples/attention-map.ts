/**
 * Attention of the visual abstractor: `npx tsx test/examples/attention-map.ts PICTURE OUT.png [MODEL]`. Writes a grey
 * PNG of the first layer's weights from the learnable queries to the patches, averaged over queries and heads. White is
 * the highest weight.
 */
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { chooseModel } from '../../src/config/models.js';
import { openPython, prepareImage } from '../../src/index.js';

const CODE = `
import torch
from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.normalise import normalise
scorer = load_scorer(model)
kept = {}
def keep(module, inputs):
    queries, tokens, *_ = inputs
    query = module.split(module.query(queries + module.q_pos_embed))
    key = module.split(module.key(tokens + torch.cat([module.q_pos_embed, module.k_pos_embed])))
    kept.setdefault("weights", (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1))
`;
const LOOK = `
attention = next(m for m in scorer.model.modules() if type(m).__name__ == "Attention" and hasattr(m, "q_pos_embed"))
hook = attention.register_forward_pre_hook(keep)
with torch.inference_mode():
    pixels = torch.tensor(rows, dtype=torch.uint8).view(1, size, size, 3)
    hidden = scorer.model.encode_frames(normalise(pixels, scorer.engine.table, torch.float32))
hook.remove()
mean = kept["weights"][0].mean((0, 1))
queries = attention.q_pos_embed.shape[0]
patches = mean[queries:]
grid = int(len(patches) ** 0.5)
map = patches[len(patches) - grid * grid:].view(grid, grid)
`;

export async function main(
  picture: string,
  out: string,
  model?: string,
): Promise<{ grid: number; total: number; hidden: number[] }> {
  const choice = await chooseModel({ model });
  await using python = await openPython();
  await python.exec(CODE, { model: choice.model });
  const size = (await python.eval('scorer.info.image_size')) as number;
  const { data } = await prepareImage(picture, { size });
  await python.exec(LOOK, { rows: [...data], size });
  const map = (await python.eval('map')) as number[][];
  const top = Math.max(...map.flat());
  const grid = map.length;
  const grey = Uint8Array.from(map.flat(), (value) => Math.round((255 * value) / top));
  await sharp(grey, { raw: { width: grid, height: grid, channels: 1 } })
    .resize(grid * 32, grid * 32, { kernel: 'nearest' })
    .png()
    .toFile(out);
  return {
    grid,
    total: (await python.eval('float(mean.sum())')) as number,
    hidden: (await python.eval('list(hidden.shape)')) as number[],
  };
}

const [, script, picture, out, model] = process.argv;
if (script !== undefined && import.meta.url === pathToFileURL(script).href) {
  if (picture === undefined || out === undefined) throw new Error('usage: attention-map.ts PICTURE OUT.png [MODEL]');
  console.log(await main(picture, out, model));
}
