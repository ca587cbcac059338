/**
 * Compares the metrics of this project with SciPy's, on random numbers of NumPy:
 * `npx tsx test/examples/metrics-against-scipy.ts`.
 */
import { pathToFileURL } from 'node:url';
import { krcc, openPython, plcc, srcc } from '../../src/index.js';

export async function main(n = 500): Promise<Record<'srcc' | 'plcc' | 'krcc', { ours: number; scipy: number }>> {
  await using python = await openPython();
  await python.exec(
    'import numpy as np; from scipy import stats; r = np.random.default_rng(seed); x = r.integers(0, 50, n) / 7; y = x + r.normal(size=n)',
    { n, seed: 4 },
  );
  const [x, y] = (await python.eval('[x, y]')) as [number[], number[]];
  const [s, p, k] = (await python.eval(
    '[stats.spearmanr(x, y).statistic, stats.pearsonr(x, y).statistic, stats.kendalltau(x, y).statistic]',
  )) as [number, number, number];
  return {
    srcc: { ours: srcc(x, y), scipy: s },
    plcc: { ours: plcc(x, y), scipy: p },
    krcc: { ours: krcc(x, y), scipy: k },
  };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  console.table(await main());
