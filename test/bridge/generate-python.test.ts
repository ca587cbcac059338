import { describe, expect, it } from 'vitest';
import { pythonSource } from '../../bridge/generate-python.js';

const source = pythonSource();
/** The lines of a class, without its head. */
const fieldsOf = (name: string): string[] => {
  const [, body = ''] = new RegExp(`^class ${name}\\(.*\\):\\n((?: {4}.*\\n)+)`, 'm').exec(source) ?? [];
  return body.split('\n').flatMap((line) => (line === '' ? [] : [line.trim()]));
};

describe('pythonSource', () => {
  it('has the levels best first, with their values as floats', () => {
    expect(source).toContain('\nLEVELS = ("excellent", "good", "fair", "poor", "bad")\n');
    expect(source).toContain('\nLEVEL_VALUES = (5.0, 4.0, 3.0, 2.0, 1.0)\n');
  });

  it('puts optional keys in a subclass, because NotRequired is newer than Python 3.10', () => {
    expect(fieldsOf('RunRecipeLearningRatesRequired')).toEqual(['default: float']);
    expect(fieldsOf('RunRecipeLearningRates')).toEqual([
      'vision: float',
      'abstractor: float',
      'merger: float',
      'language: float',
      'lora: float',
    ]);
    expect(source).toContain('class RunRecipeLearningRates(RunRecipeLearningRatesRequired, total=False):');
  });

  it('writes None last, tuples as lists, and an optional class without a number', () => {
    expect(fieldsOf('RunRecipeRequired')).toEqual(
      expect.arrayContaining(['lora: RunRecipeLora | None', 'betas: list[float]', 'max_steps: int | None']),
    );
    expect(fieldsOf('RunRecipeLora')).toContain('quantise_base: Literal["int8"] | Literal["nf4"] | None');
  });

  it('defines every class before it is used', () => {
    const defined = new Set<string>();
    for (const line of source.split('\n')) {
      const [, name, base] = /^class (\w+)\((\w+)/.exec(line) ?? [];
      if (name !== undefined) {
        if (base !== undefined && !['NamedTuple', 'TypedDict'].includes(base)) expect(defined).toContain(base);
        defined.add(name);
      }
      for (const [used] of (/^ {4}\w+: (.*)$/.exec(line)?.[1] ?? '').matchAll(/\b[A-Z]\w+/g))
        if (!['Any', 'Literal', 'None', 'False'].includes(used)) expect(defined).toContain(used);
    }
  });
});
