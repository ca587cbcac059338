import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import example from '../../../bridge/examples/accepted/gpu_check.json' with { type: 'json' };
import { cli } from '../terminal/terminal-double.js';

let folder: string;
const files = { first: '', second: '', foreign: '', newer: '', damaged: '', text: '' };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-bench-gpu-'));
  const check = example.value;
  const rates = check.sections.rates;
  const figures = rates.figures.map((figure) => ({ ...figure, value: figure.value * 2 }));
  const faster = { ...check, device_name: 'NVIDIA B200', torch: '2.13.0', sections: { rates: { ...rates, figures } } };
  const contents = {
    first: check,
    second: faster,
    foreign: { results: [] },
    newer: { ...check, format: 2 },
    damaged: { ...check, goals: undefined },
  };
  for (const [name, value] of Object.entries({ ...contents, text: undefined })) {
    files[name as keyof typeof files] = join(folder, `${name}.json`);
    await writeFile(join(folder, `${name}.json`), value === undefined ? 'no JSON' : JSON.stringify(value));
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('qalign bench gpu', () => {
  it('shows a check with its goals, and fails if a part failed', async () => {
    const { code, out } = await cli('bench', 'gpu', files.first);
    expect(code).toBe(1);
    expect(out).toMatch(/^NVIDIA H200: mplug_owl2_7b with random weights, bf16, torch 2\.11\.0\+cu130, CUDA 13\.0/);
    expect(out).toMatch(/^rates: batch 64 +300 +320 +img\/s +not met$/m);
    expect(out).toMatch(/^work: 64 pairs +not measured +200 +pairs\/s +–$/m);
    expect(out).toMatch(/^rates: end to end +failed +ValueError: broken Run the section alone\.$/m);
    expect(out).toMatch(/^rates: batch 128 +skipped +the time of this section is used up$/m);
  });

  it('compares two checks and names what differs', async () => {
    const { code, out } = await cli('bench', 'gpu', '--compare', files.first, files.second);
    expect(code).toBe(0);
    expect(out).toContain('device_name differs: NVIDIA H200 in the first file, NVIDIA B200 in the second.');
    expect(out).toContain('torch differs: 2.11.0+cu130 in the first file, 2.13.0 in the second.');
    expect(out).toMatch(/^rates: batch 8 +250 +500 +img\/s +2\.000$/m);
  });

  it('prints Markdown', async () => {
    const { out } = await cli('bench', 'gpu', files.first, '--markdown');
    expect(out).toContain('| rates: batch 64 | 300 | 320 | img/s | not met |');
  });

  it.each([
    ['foreign', /is not a GPU check, but another kind of JSON; create one with "qalign bench gpu"/],
    ['newer', /is a GPU check of format 2, and this qalign reads format 1/],
    ['damaged', /is a damaged GPU check \(.*goals/],
    ['text', /is not a GPU check: it is not valid JSON/],
  ] as const)('refuses a %s file', async (name, message) => {
    const { code, said } = await cli('bench', 'gpu', files[name]);
    expect(code).toBe(2);
    expect(said.join('\n')).toMatch(message);
  });

  it('refuses a missing file and a wrong number of files', async () => {
    expect((await cli('bench', 'gpu', join(folder, 'none.json'))).said.join()).toContain('CONFIG_NOT_FOUND');
    for (const words of [
      ['--compare', files.first],
      [files.first, files.second],
    ]) {
      const { code, said } = await cli('bench', 'gpu', ...words);
      expect(code).toBe(2);
      expect(said.join()).toContain('--compare A.json B.json');
    }
  });
});
