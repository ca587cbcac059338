import { describe, expect, it } from 'vitest';
import { modelsThatDo } from '../../../src/config/models.js';
import type { ScoreInput, ScoreOptions } from '../../../src/recipes/score/scorer.js';
import { fakeScorer, picture } from './fake-scorer.js';

const usage = (message: RegExp): object => ({
  code: 'USAGE',
  message: expect.stringMatching(message) as string,
});

/** A call from JavaScript, where types are not checked. */
const score = async (own: Record<string, unknown>): Promise<unknown> => (await fakeScorer()).score(picture('a'), own);
const many = async (own: Record<string, unknown>): Promise<unknown> =>
  (await fakeScorer()).scoreMany([picture('a')], own).next();

const WRONG: [string, unknown, RegExp][] = [
  ['scale', 'nonsense', /scale of .* must be one of mos5, unit, percent, not "nonsense"/],
  ['scale', 'toString', /scale/],
  ['scale', null, /scale/],
  ['tasks', 'quality', /tasks of .* must be a list of tasks \(quality, aesthetics\)/],
  ['tasks', ['nonsense'], /tasks/],
  ['prompt', 7, /prompt of .* must be a text, not 7/],
  ['strict', 'yes', /strict/],
  ['lane', 'fast', /lane of .* must be one of interactive, bulk/],
  ['ticket', Number.NaN, /ticket of .* must be a number, not NaN/],
  ['traceparent', {}, /traceparent/],
  ['signal', {}, /signal of .* must be an AbortSignal/],
  ['limits', { maxPixel: 5 }, /limits of .*maxPixels/],
  ['limits', { maxPixels: -1 }, /limits/],
  ['limits', 5, /limits/],
  ['scales', 'unit', /has no option "scales" \(did you mean "scale"\?\)/],
];

describe('the options of a scorer', () => {
  it.each(WRONG)('score refuses %s: %j', async (key, value, message) => {
    await expect(score({ [key]: value })).rejects.toMatchObject(usage(message));
  });

  it.each([
    ...WRONG,
    ['inFlight', 0, /inFlight of scoreMany must be a whole number/],
    ['tasksOf', ['quality'], /tasksOf of scoreMany must be a function/],
    ['tasksOf', () => ['nonsense'], /tasksOf must return a list of tasks/],
  ] as [string, unknown, RegExp][])('scoreMany refuses %s: %j', async (key, value, message) => {
    await expect(many({ [key]: value })).rejects.toMatchObject(usage(message));
  });

  it.each([
    ['scale', 'nonsense', /scale/],
    ['precision', 'int4', /precision of createScorer must be one of auto, fp32, bf16, fp16/],
    ['fps', 0, /fps of createScorer must be a number above 0, not 0/],
    ['fps', '2', /fps/],
    ['maxFrames', 1.5, /maxFrames/],
    ['maxFrames', -1, /maxFrames/],
    ['maxBatchFrames', 0, /maxBatchFrames/],
    ['frameRule', 'time', /frameRule/],
    ['devices', 'cpu', /devices/],
    ['autoOrient', 1, /autoOrient/],
    ['model', '', /model/],
    ['onProgress', 'log', /onProgress/],
    ['signal', new AbortController(), /signal/],
    ['fpss', 2, /no option "fpss" \(did you mean "fps"\?\)/],
  ] as [string, unknown, RegExp][])('createScorer refuses %s: %j', async (key, value, message) => {
    await expect(fakeScorer({ [key]: value })).rejects.toMatchObject(usage(message));
  });

  it('check also refuses them, and undefined options count as omitted', async () => {
    const scorer = await fakeScorer({ scale: undefined, fps: undefined });
    await expect(scorer.check({ scale: 'nonsense' } as unknown as ScoreOptions)).rejects.toMatchObject(usage(/scale/));
    await expect(scorer.check({ scale: undefined, tasks: undefined })).resolves.toBeUndefined();
    await expect(scorer.score(picture('a'), null as unknown as ScoreOptions)).rejects.toMatchObject(usage(/object/));
  });

  it('refuses an invalid input', async () => {
    const scorer = await fakeScorer();
    for (const input of [42, null, undefined, {}])
      await expect(scorer.score(input as ScoreInput)).rejects.toMatchObject(usage(/An input must be a path/));
  });

  it('names the models that rate a task in a complete sentence', async () => {
    expect(await modelsThatDo('quality')).toMatch(/^Models that do: .*one-align.*\.$/);
    expect(await modelsThatDo('aesthetics')).toMatch(
      /: one-align, q-realign-lite, .*, mplug-owl2 \(base, not taught to rate\)/,
    );
    expect(await modelsThatDo('sharpness' as 'quality')).toBe('No model of "qalign models list" does.');
  });
});
