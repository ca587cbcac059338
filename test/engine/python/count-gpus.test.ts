import { expect, it } from 'vitest';
import { countGpus, type GpuHost } from '../../../src/engine/python/count-gpus.js';

function host(
  gpus: number,
  { visible, caps = 2, known = gpus, files = ['/dev/nvidiactl'] }: Partial<Fake> = {},
): GpuHost {
  const folders: Record<string, string[]> = {
    '/dev': ['null', 'nvidiactl', 'nvidia-uvm', ...Array.from({ length: gpus }, (_, i) => `nvidia${i}`)],
    '/dev/nvidia-caps': Array.from({ length: caps }, (_, i) => `nvidia-cap${i + 1}`),
    '/proc/driver/nvidia/gpus': Array.from({ length: known }, (_, i) => `0000:0${i}:00.0`),
  };
  return {
    env: { CUDA_VISIBLE_DEVICES: visible },
    exists: (path) => files.includes(path),
    list: (folder) => folders[folder] ?? [],
  };
}

interface Fake {
  readonly visible: string;
  readonly caps: number;
  readonly known: number;
  readonly files: string[];
}

it.each<[string, GpuHost, number | undefined]>([
  ['no driver', host(0, { files: [] }), 0],
  ['one GPU', host(1), 1],
  ['eight GPUs', host(8), 8],
  ['a list of indices', host(8, { visible: '1, 3' }), 2],
  ['an empty list', host(8, { visible: '' }), undefined],
  ['an index that does not exist', host(2, { visible: '0,7' }), undefined],
  ['a repeated index', host(2, { visible: '1,1' }), undefined],
  ['names of devices', host(2, { visible: 'GPU-8932f937' }), undefined],
  ['parts of a GPU', host(2, { caps: 5 }), undefined],
  ['a container with some of the GPUs', host(1, { known: 8 }), undefined],
  ['a driver without device files', host(0), undefined],
  ['WSL', host(0, { files: ['/dev/dxg'] }), undefined],
  ['AMD', host(0, { files: ['/dev/kfd'] }), undefined],
])('%s', (_, fake, count) => {
  expect(countGpus(fake)).toBe(count);
});
