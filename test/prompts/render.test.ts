import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadPrompt, promptNames } from '../../src/config/prompts.js';
import type { Kind, Task } from '../../src/prompts/subject.js';
import { allows, renderPrompt, templateProblems } from '../../src/prompts/render.js';

interface Golden {
  prompts: { name: string; text: string }[];
}
const places = ['test/fixtures/golden/prompts.json', '../shared/golden/prompts.json'].map(
  (path) => new URL(`../../${path}`, import.meta.url),
);
const file = places.find((place) => existsSync(place));
if (file === undefined)
  console.warn('NOT RUN: the golden prompts need test/fixtures/golden/prompts.json or ../shared/golden/prompts.json');

// golden name prefix → template; the benchmark's aesthetics prompt is a separate template
const TEMPLATES: Record<string, string> = {
  score: 'default',
  eval_quality: 'benchmark',
  eval_aesthetics: 'benchmark-iaa',
  automodel: 'automodel',
};

describe('published prompts', () => {
  it.skipIf(file === undefined)('are reproduced exactly', async () => {
    const golden = JSON.parse(readFileSync(file as URL, 'utf8')) as Golden;
    let compared = 0;
    for (const { name, text } of golden.prompts) {
      const prefix = Object.keys(TEMPLATES).find((key) => name.startsWith(`${key}_`));
      if (prefix === undefined) continue;
      const [task, kind] = name.split('_').slice(-2) as [Task, Kind];
      const template = await loadPrompt(TEMPLATES[prefix] as string);
      expect(renderPrompt(template, task, kind), name).toBe(text);
      expect(allows(template, task, kind), name).toBe(true);
      compared += 1;
    }
    expect(compared).toBe(10);
  });

  it('is the scorer class text for the default', async () => {
    expect(renderPrompt(await loadPrompt('default'), 'aesthetics', 'video')).toBe(
      'USER: How would you rate the aesthetics of this video?\n<|image|>\nASSISTANT: The aesthetics of the video is',
    );
  });

  it('restricts the IAA benchmark prompt to aesthetics of images', async () => {
    const template = await loadPrompt('benchmark-iaa');
    expect(allows(template, 'quality', 'image')).toBe(false);
    expect(allows(template, 'aesthetics', 'video')).toBe(false);
  });
});

describe('loadPrompt', () => {
  it('loads every file of configs/prompts', async () => {
    const names = await promptNames();
    expect(names).toEqual(
      expect.arrayContaining(['automodel', 'benchmark', 'benchmark-iaa', 'default', 'open-rating']),
    );
    for (const name of names) expect((await loadPrompt(name)).name).toBe(name);
  });

  it('names the nearest prompt for an unknown one', async () => {
    await expect(loadPrompt('defualt')).rejects.toMatchObject({
      code: 'CONFIG_NOT_FOUND',
      message: expect.stringContaining('"default"') as string,
    });
  });
});

describe('templateProblems', () => {
  it.each([
    ['no marker here', /exactly once, not 0/],
    ['<|image|> <|image|> is', /not 2 times/],
    ['<|image|> {tsak} is', /unknown placeholders \{tsak\}/],
    ['<|image|> is ', /white space/],
  ])('refuses %j', (text, problem) => expect(templateProblems(text).join()).toMatch(problem));
});
