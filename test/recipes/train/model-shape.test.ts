import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readShape } from '../../../src/recipes/train/model-shape.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'shape-'))));
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('the config.json of a model that is to be trained', () => {
  it.each([
    ['version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n', 'git-LFS pointer'],
    ['{"hidden_size": 4', 'is not valid JSON'],
    ['<!DOCTYPE html>', 'is not valid JSON'],
    ['{"visual_config": {"visual_model": {"views": ["native"]}}}', 'visual_model.views is ["native"]'],
  ])('is refused by name if it is invalid', (text, said) => {
    writeFileSync(join(folder, 'config.json'), text);
    expect(() => readShape(folder)).toThrow(expect.objectContaining({ code: 'MODEL_INVALID' }));
    expect(() => readShape(folder)).toThrow(said);
  });
});
