import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { HELP_COMMANDS, README_COMMANDS } from './command-table.js';
import { commandsOf, guideCommands, guideFiles, GUIDES, helpCommands, programs, readmeCommands } from './documents.js';
import { GUIDE_COMMANDS } from './guide-table.js';

describe('commands of the documents', () => {
  it('each has a row in a table, and no row is without its command', async () => {
    expect([...new Set(readmeCommands)].sort()).toEqual(Object.keys(README_COMMANDS).sort());
    expect(guideCommands.map(({ command }) => command).sort()).toEqual(Object.keys(GUIDE_COMMANDS).sort());
    expect((await helpCommands()).sort()).toEqual(Object.keys(HELP_COMMANDS).sort());
  });

  it('are found in blocks of lists, without comments, over continued lines', () => {
    expect(commandsOf('1. a\n\n   ```sh\n   one   # a comment\n   ```\n```sh\ntwo \\\n  --more\n```\n')).toEqual([
      'one',
      'two --more',
    ]);
  });
});

describe('guides', () => {
  it('are all in the list of docs/guides/README.md', () => {
    expect([...GUIDES].sort()).toEqual(guideFiles().sort());
  });

  it('have a file name in the first line of each program, and a command that runs it', () => {
    for (const { guide, name, code } of programs) {
      expect(name, `${guide}: ${code.slice(0, 60)}`).toBeDefined();
      const commands = commandsOf(readFileSync(join(packageRoot, guide), 'utf8'));
      expect(
        commands.some((command) => command.split(/\s+/).includes(name!)),
        `${guide}: ${name}`,
      ).toBe(true);
    }
  });
});
