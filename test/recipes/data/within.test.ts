import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { convertDataset, type ConvertOptions } from '../../../src/recipes/data/convert.js';
import { manifestBeside } from '../../../src/recipes/data/manifest.js';
import { holdOutputInRoot } from '../../../src/server/http/path-root.js';

let place: string;
const at = (path: string): string => join(place, path);
beforeEach(() => {
  place = realpathSync(mkdtempSync(join(tmpdir(), 'qalign-convert-')));
  for (const top of ['root', 'outside']) {
    mkdirSync(at(`${top}/set/good`), { recursive: true });
    writeFileSync(at(`${top}/set/good/a.png`), '\x89PNG\r\n\x1a\n', 'latin1');
    writeFileSync(at(`${top}/set/t.csv`), `file,mos\n${top}.png,1\na.png,2\nb.png,3\n`);
    writeFileSync(at(`${top}/set/t.json`), `[{"image":"${top}.png","mos":1},{"image":"a.png","mos":2}]`);
    writeFileSync(at(`${top}/set/dataset.json`), '{"source":"mine"}');
  }
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

/** What a writer below the root does between the check and the opening. */
function swap(): void {
  renameSync(at('root/set'), at('root/aside'));
  symlinkSync(at('outside/set'), at('root/set'));
}

const forbidden = { code: 'PATH_FORBIDDEN' };
const within = () => ({ top: at('root'), own: [] });
const own = { imageColumn: 'file', scoreColumn: 'mos' };
const convert = (options: Partial<ConvertOptions>): Promise<unknown> =>
  convertDataset({ dataset: at('root/set/t.csv'), own, within: within(), out: at('root/out'), ...options });

describe('a swap between check and opening', () => {
  it.each([
    ['a table', {}, {}],
    ['a JSON table', { dataset: 'root/set/t.json' }, { imageColumn: 'image' }],
    ['a folder of levels', { dataset: 'root/set' }, {}],
  ])(
    'gives a conversion no files outside: %s',
    async (_what, { dataset = 'root/set/t.csv' }: { dataset?: string }, columns) => {
      swap();
      await expect(convert({ dataset: at(dataset), own: { ...own, ...columns } })).rejects.toMatchObject(forbidden);
      expect(readdirSync(at('root'))).toEqual(['aside', 'set']);
    },
  );

  it('gives it no names of media outside', async () => {
    writeFileSync(at('root/t.csv'), 'file,mos\nx/a.png,1\nx/b.png,3\n');
    swap();
    const options = { dataset: at('root/t.csv'), missing: 'skip' } as const;
    await expect(convert({ ...options, media: at('root/set') })).rejects.toMatchObject(forbidden);
  });

  it('shows no dataset.json outside', async () => {
    expect(await manifestBeside(at('root/set/test.jsonl'), within())).toEqual({ source: 'mine' });
    swap();
    await expect(manifestBeside(at('root/set/test.jsonl'), within())).rejects.toMatchObject(forbidden);
  });

  it.runIf(process.platform === 'linux')('writes nothing outside', async () => {
    mkdirSync(at('root/out'));
    mkdirSync(at('outside/out'));
    writeFileSync(at('outside/all.jsonl'), 'theirs');
    symlinkSync(at('outside/all.jsonl'), at('root/out/all.jsonl'));
    const output = await holdOutputInRoot({ root: at('root'), own: [] }, 'out', 'folder');
    renameSync(at('root/out'), at('root/moved'));
    symlinkSync(at('outside/out'), at('root/out'));
    await convert({ out: output.path, outName: output.name, media: undefined });
    await output.close();
    expect(readdirSync(at('outside/out'))).toEqual([]);
    expect(readFileSync(at('outside/all.jsonl'), 'utf8')).toBe('theirs');
    expect(readdirSync(at('root/moved'))).toEqual(['all.jsonl', 'dataset.json']);
    expect(readFileSync(at('root/moved/dataset.json'), 'utf8')).not.toContain('within');
  });
});
