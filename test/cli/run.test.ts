import { describe, expect, it } from 'vitest';
import { QalignError } from '../../src/base/errors.js';
import { silentLogger } from '../../src/base/logger.js';
import { REGISTRY } from '../../src/cli/registry.js';
import { packageVersion } from '../../src/base/package-root.js';
import { report } from '../../src/cli/run.js';
import { cli, hearingTerminal } from './terminal/terminal-double.js';

describe('qalign', () => {
  it('lists every verb and prints its version', async () => {
    const help = await cli('--help');
    expect(help.code).toBe(0);
    for (const verb of Object.keys(REGISTRY)) expect(help.out).toContain(`  ${verb} `);
    expect((await cli('--version')).out).toBe(`${packageVersion}\n`);
    expect((await cli()).code).toBe(2);
  });

  it('writes "error" before the sentence, never inside it', () => {
    const terminal = hearingTerminal(false);
    const context = { terminal, log: silentLogger, signal: new AbortController().signal };
    report(new QalignError('USAGE', 'qalign dataset split: name the parts.'), context);
    report(new QalignError('PYTHON_NOT_FOUND', 'qalign needs Python (Debian: apt-get install python3).'), context);
    expect(terminal.heard.said).toEqual([
      'qalign dataset split: error: name the parts. [USAGE]',
      'qalign: error: qalign needs Python (Debian: apt-get install python3). [PYTHON_NOT_FOUND]',
    ]);
  });
  it('has a usage line with every kind of argument once', async () => {
    expect((await cli('train', '--help')).out).toContain('usage: qalign train RECIPE… [key=value …] [FLAGS]\n');
    expect((await cli('serve', '--help')).out).toContain('usage: qalign serve [CONFIG] [key=value …] [FLAGS]\n');
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
      const commands = 'commands' in command ? command.commands : [command, ...(command.subcommands ?? [])];
      expect('commands' in command ? command.name : commands[0]?.name).toBe(verb);
      expect(row.summary, verb).toBe(command.summary);
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
