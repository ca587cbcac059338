import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { QalignError } from '../../../src/base/errors.js';
import { createReplay } from '../../../src/cli/score/replay.js';
import type { ScoreSource } from '../../../src/recipes/score/scorer.js';
import { picture } from '../../recipes/score/fake-scorer.js';

it('returns the same inputs again, of any kind', async () => {
  const odd = { path: Uint8Array.from([0xff, 0x2e]) };
  const sources: ScoreSource[] = [
    { ...picture('a.png'), identity: { bytes: 3, modified: '2026-01-01T00:00:00Z' } },
    { ...picture('\ufffd.', 'video'), media: odd },
    { ...picture('gone.png'), error: new QalignError('MEDIA_NOT_FOUND', 'There is none.') },
    { ...picture('<stdin>'), media: Uint8Array.from([1, 2, 3]) },
    { ...picture('https://example.org/a.png'), media: Uint8Array.from([4]) },
  ];
  async function* found(): AsyncGenerator<ScoreSource> {
    yield* sources;
  }
  const fetched: string[] = [];
  async function* fetch(url: string): AsyncGenerator<ScoreSource> {
    fetched.push(url);
    yield picture(url);
  }
  const replay = await createReplay(found(), fetch);
  const first: ScoreSource[] = [];
  for await (const source of replay.first) first.push(source);
  expect(first).toEqual(sources);
  for (let pass = 0; pass < 2; pass += 1) {
    const again: ScoreSource[] = [];
    for await (const source of replay.again()) again.push(source);
    expect(again.map(({ input, kind }) => [input, kind])).toEqual(sources.map(({ input, kind }) => [input, kind]));
    expect(again[0]).toMatchObject({ media: 'a.png', identity: sources[0]!.identity });
    expect(Buffer.from((again[1]!.media as typeof odd).path)).toEqual(Buffer.from(odd.path));
    expect(again[2]!.error).toMatchObject({ code: 'MEDIA_NOT_FOUND', message: 'There is none.' });
    expect([...readFileSync(again[3]!.media as string)]).toEqual([1, 2, 3]);
    if (pass === 1) {
      await replay.close();
      expect(existsSync(again[3]!.media as string)).toBe(false);
    }
  }
  expect(fetched).toHaveLength(2);
});
