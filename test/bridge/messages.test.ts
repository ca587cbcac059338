import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { drift } from '../../.config/generate.js';
import { METHODS, SCHEMAS } from '../../bridge/protocol/index.js';
import { ERROR_CODES } from '../../bridge/protocol/errors.js';
import { problemWithMessage } from '../../bridge/validate.js';
import { packageRoot } from '../../src/base/package-root.js';

interface Example {
  message: string;
  why?: string;
  value: unknown;
}

const examples = (folder: string): [string, Example][] => {
  const root = join(packageRoot, 'bridge/examples', folder);
  return readdirSync(root).map((name) => [name, JSON.parse(readFileSync(join(root, name), 'utf8')) as Example]);
};

describe('golden messages', () => {
  it.each(examples('accepted'))('accepts %s', (_name, { message, value }) => {
    expect(problemWithMessage(message, value)).toBeUndefined();
  });

  it.each(examples('rejected'))('rejects %s', (_name, { message, value }) => {
    expect(problemWithMessage(message, value)).toBeTypeOf('string');
  });

  it('has an accepted example of every message', () => {
    const shown = new Set(examples('accepted').map(([, { message }]) => message));
    expect(Object.keys(SCHEMAS).filter((name) => !shown.has(name))).toEqual([]);
  });
});

it('generated files are up to date', async () => {
  expect([...(await drift()).keys()]).toEqual([]);
});

it('bridge/README.md lists every method', () => {
  const readme = readFileSync(join(packageRoot, 'bridge/README.md'), 'utf8');
  const section = /^## Methods\n([^]*?)^## /m.exec(readme)?.[1] ?? '';
  const listed = [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, method]) => method as string);
  expect(listed.sort()).toEqual(Object.keys(METHODS).sort());
});

it('bridge/README.md lists every error code with the sentence of the registry', () => {
  const readme = readFileSync(join(packageRoot, 'bridge/README.md'), 'utf8');
  const listed = readme.split('\n').filter((line) => /^\| `[A-Z_]+` \|/.test(line));
  expect(listed).toEqual(
    Object.entries(ERROR_CODES).map(
      ([code, { family, httpStatus, retryable, sentence }]) =>
        `| \`${code}\` | ${family} | ${httpStatus} | ${retryable ? 'yes' : 'no'} | ${sentence} |`,
    ),
  );
});
