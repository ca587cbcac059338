import { describe, expect, it } from 'vitest';
import { defineCommand, parseLine } from '../../src/cli/command.js';
import { plain } from '../../src/cli/terminal/colour.js';
import { commandHelp } from '../../src/cli/terminal/help.js';

const probe = defineCommand({
  name: 'probe',
  summary: 'a command for this test',
  args: 'INPUT…',
  examples: ['qalign probe a.jpg --task quality'],
  overrides: true,
  flags: {
    task: { type: 'string', multiple: true, choices: ['quality', 'aesthetics'], help: 'what to rate' },
    out: { type: 'string', value: 'FILE', short: 'o', help: 'where to' },
    fps: { type: 'number', help: 'frames a second' },
    resume: { type: 'boolean', help: 'go on' },
  },
  run: async () => 0,
});

describe('parseLine', () => {
  it('splits flags, arguments and overrides', () => {
    const line = parseLine(probe, [
      'a.jpg',
      '--task',
      'quality',
      '--task=aesthetics',
      '-o',
      'x',
      '--fps',
      '0.5',
      'train.lr=2e-5',
      '--resume',
      '--',
      '-b.jpg',
    ]);
    expect(line.args).toEqual(['a.jpg', '-b.jpg']);
    expect(line.overrides).toEqual(['train.lr=2e-5']);
    expect(line.flags).toEqual({ task: ['quality', 'aesthetics'], out: 'x', fps: 0.5, resume: true, help: false });
  });

  it.each([
    [['--taks', 'quality'], /no flag --taks \(did you mean "--task"\?\)/],
    [['--task', 'beauty'], /--task must be one of quality, aesthetics, not "beauty"/],
    [['--out'], /--out needs a value \(FILE\)/],
    [['--out', '--resume'], /--out needs a value/],
    [['--fps', 'fast'], /--fps needs a number, not "fast"/],
    [['--resume=yes'], /--resume takes no value/],
  ])('refuses %j with a usage error', (line, message) => {
    expect(() => parseLine(probe, line)).toThrow(message);
    expect(() => parseLine(probe, line)).toThrow(expect.objectContaining({ code: 'USAGE' }) as Error);
  });

  it('has a help page with every flag and the example', () => {
    const help = commandHelp(probe, { columns: Infinity, paint: plain });
    for (const word of [
      'usage: qalign probe INPUT…',
      '--task quality|aesthetics …',
      '-o, --out FILE',
      '--fps N',
      '--resume',
      '--help',
      'qalign probe a.jpg',
    ])
      expect(help).toContain(word);
  });
});
