import { describe, expect, it } from 'vitest';
import { REGISTRY } from '../../src/cli/registry.js';
import { packageVersion } from '../../src/base/package-root.js';
import { cli } from './terminal/terminal-double.js';

describe('qalign', () => {
  it('lists every verb and prints its version', async () => {
    const help = await cli('--help');
    expect(help.code).toBe(0);
    for (const verb of Object.keys(REGISTRY)) expect(help.out).toContain(`  ${verb} `);
    expect((await cli('--version')).out).toBe(`${packageVersion}\n`);
    expect((await cli()).code).toBe(2);
  });

  it('names the nearest verb, also within a group', async () => {
    expect(await cli('scroe')).toMatchObject({ code: 2, said: [expect.stringContaining('did you mean "score"?')] });
    expect(await cli('models', 'lsit')).toMatchObject({
      code: 2,
      said: [expect.stringContaining('did you mean "list"?')],
    });
    expect((await cli('toString')).code).toBe(2);
  });

  it('has help with an example for every command', async () => {
    for (const [verb, row] of Object.entries(REGISTRY)) {
      const command = await row.load();
      const commands = 'commands' in command ? command.commands : [command];
      expect('commands' in command ? command.name : commands[0]?.name).toBe(verb);
      for (const one of commands) {
        const help = await cli(...one.name.split(' '), '--help');
        expect(help.code, one.name).toBe(0);
        expect(help.out, one.name).toContain('usage: qalign ');
        expect(one.examples.length, one.name).toBeGreaterThan(0);
        for (const example of one.examples) expect(help.out).toContain(example);
        expect(
          one.examples.some((example) => example.includes(`qalign ${one.name}`)),
          one.name,
        ).toBe(true);
      }
    }
  });
});

describe('qalign doctor', () => {
  it('reports as JSON what is here and what its absence costs', async () => {
    const { code, out } = await cli('doctor', '--json');
    const report = JSON.parse(out) as { usable: boolean; checks: { name: string; status: string; cost: string }[] };
    expect(code).toBe(report.usable ? 0 : 1);
    expect(report.checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['node', 'python', 'torch', 'ffmpeg', 'ffprobe', 'models', 'cache']),
    );
    for (const { status, cost, name } of report.checks) if (status === 'missing') expect(cost, name).not.toBe('');
  }, 60_000);

  it('says what an interpreter that is none costs', async () => {
    const before = process.env['QALIGN_PYTHON'];
    process.env['QALIGN_PYTHON'] = '/nowhere/python';
    try {
      const { code, out } = await cli('doctor');
      expect(code).toBe(1);
      expect(out).toContain('/nowhere/python (QALIGN_PYTHON) does not run');
      expect(await cli('score', 'x.jpg')).toMatchObject({
        code: 1,
        said: [expect.stringMatching(/QALIGN_PYTHON is \/nowhere\/python.*\[PYTHON_NOT_FOUND\]/)],
      });
    } finally {
      if (before === undefined) delete process.env['QALIGN_PYTHON'];
      else process.env['QALIGN_PYTHON'] = before;
    }
  });
});

describe('qalign models', () => {
  it('lists all descriptions, valid and with licence', async () => {
    const { out } = await cli('models', 'list', '--json');
    const names = (JSON.parse(out) as { name: string; licence: string }[]).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['one-align', 'deqa-score', 'deqa-score-lora', 'mplug-owl2']));
  });
});
