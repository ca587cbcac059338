import { readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Type from 'typebox';
import { describe, expect, it } from 'vitest';
import { EvaluateRecipe } from '../../src/config/evaluate.js';
import { loadConfig, parseConfig } from '../../src/config/load.js';
import { QalignError } from '../../src/base/errors.js';
import { packageRoot } from '../../src/base/package-root.js';

const Schema = Type.Object(
  {
    lr: Type.Number({ minimum: 0 }),
    mode: Type.Union([Type.Literal('full'), Type.Literal('lora')]),
    sets: Type.Array(
      Type.Object({ name: Type.String(), weight: Type.Number({ default: 1 }) }, { additionalProperties: false }),
    ),
    seed: Type.Integer({ default: 0 }),
    note: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
const good = 'lr: 2e-5\nmode: full\nsets:\n  - name: koniq\n';

const problemsOf = (text: string, overrides: string[] = []): string => {
  try {
    parseConfig(Schema, text, 'x.yaml', overrides);
  } catch (error) {
    expect(error).toBeInstanceOf(QalignError);
    expect((error as QalignError).code).toBe('CONFIG_INVALID');
    return (error as QalignError).message;
  }
  return '';
};

describe('parseConfig', () => {
  it('reads, fills in defaults and freezes deeply', () => {
    const config = parseConfig(Schema, good, 'x.yaml');
    expect(config).toEqual({ lr: 2e-5, mode: 'full', sets: [{ name: 'koniq', weight: 1 }], seed: 0 });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.sets[0])).toBe(true);
  });

  it('accepts overrides as YAML, for nested keys and list indices', () => {
    const config = parseConfig(Schema, good, 'x.yaml', ['lr=1e-4', 'sets.0.weight=2', 'note=a=b']);
    expect(config).toMatchObject({ lr: 1e-4, sets: [{ name: 'koniq', weight: 2 }], note: 'a=b' });
  });

  it('lists all problems at once, with the nearest key and the value found', () => {
    const text = problemsOf('lr: -1\nmod: full\nmode: lroa\nsets:\n  - nmae: koniq\nseed: 1.5\n');
    expect(text).toContain('x.yaml has 6 problems');
    expect(text).toContain('lr: must be >= 0, not -1');
    expect(text).toContain('mod: unknown key');
    expect(text).toContain('mode: must be one of full, lora, not "lroa" (did you mean "lora"?)');
    expect(text).toContain('sets.0.name: missing');
    expect(text).toContain('sets.0.nmae: unknown key (did you mean "name"?)');
    expect(text).toContain('seed: must be integer, not 1.5');
  });

  it('refuses unknown keys in overrides', () => {
    expect(problemsOf(good, ['sed=3'])).toContain('sed: unknown key (did you mean "seed"?)');
  });

  it.each([['a: [1, 2'], ['lr: 1\nlr: 2'], ['just a word'], ['- 1\n- 2'], ['']])(
    'refuses %j as CONFIG_INVALID',
    (text) => {
      expect(problemsOf(text)).toContain('x.yaml has');
    },
  );

  it.each(['nothing', '=3', 'a..b=1', '__proto__.x=1'])('refuses the override %j as USAGE', (override) => {
    expect(() => parseConfig(Schema, good, 'x.yaml', [override])).toThrow(
      expect.objectContaining({ code: 'USAGE' }) as Error,
    );
  });
});

describe('loadConfig', () => {
  it('reads a file, and names a missing file or a directory', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'qalign-config-'));
    await writeFile(join(folder, 'a.yaml'), good);
    expect((await loadConfig(Schema, join(folder, 'a.yaml'))).mode).toBe('full');
    await expect(loadConfig(Schema, join(folder, 'b.yaml'))).rejects.toMatchObject({
      code: 'CONFIG_NOT_FOUND',
      message: expect.stringContaining('b.yaml') as string,
    });
    await expect(loadConfig(Schema, folder)).rejects.toMatchObject({ code: 'CONFIG_NOT_FOUND' });
    await rm(folder, { recursive: true });
  });
});

describe('configs/evaluate', () => {
  it('holds recipes that fit their schema, under their own names', async () => {
    const names = readdirSync(join(packageRoot, 'configs/evaluate'));
    expect(names.length).toBeGreaterThan(3);
    for (const name of names)
      expect((await loadConfig(EvaluateRecipe, `configs/evaluate/${name}`)).name).toBe(name.replace('.yaml', ''));
  });
});
