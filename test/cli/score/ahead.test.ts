import { describe, expect, it } from 'vitest';
import { mayScore } from '../../../src/cli/score/ahead.js';

describe('a worker process that starts ahead of the command', () => {
  it.each([
    ['photo.jpg', true],
    ['photos/ --task quality --out scores.jsonl', true],
    ['-', true],
    ['photo.jpg --device cuda:0', true],
    ['', false],
    ['--quiet', false],
    ['photo.jpg --help', false],
    ['-h photo.jpg', false],
    ['photos/ --out scores.jsonl --resume', false],
    ['photo.jpg --device remote:2', false],
    ['photo.jpg --device=remote', false],
  ])('qalign score %s: %s', (line, expected) => {
    expect(mayScore(line.split(' ').filter((word) => word !== ''))).toBe(expected);
  });
});
