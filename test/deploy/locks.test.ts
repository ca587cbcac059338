import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';

const PYTHON = join(packageRoot, 'python');
const LOCKS = readdirSync(PYTHON).filter((name) => name.endsWith('.lock'));
/** Logical lines, joined at backslashes. */
const requirements = (name: string): string[] =>
  readFileSync(join(PYTHON, name), 'utf8')
    .replaceAll(/\s*\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
const pins = (name: string): string[] => requirements(name).map((line) => line.replace(/ --hash.*/, ''));

describe('the locks of Python packages', () => {
  it.each(LOCKS)('%s pins every package with the hashes of its files', (name) => {
    const lines = requirements(name);
    expect(lines.length).toBeGreaterThan(1);
    const bad = lines.filter((line) => !/^[\w.-]+==[\w.]+( ; [^#]*?)?( --hash=sha256:[0-9a-f]{64})+$/.test(line));
    expect(bad).toEqual([]);
  });

  it('leave torch to a separate file, because its builds are different files of one version', () => {
    expect(requirements('requirements-torch.txt')).toEqual([expect.stringMatching(/^torch==[\d.]+$/)]);
    expect(LOCKS.flatMap(pins).filter((pin) => pin.startsWith('torch=='))).toEqual([]);
  });

  it('agree on the version of every package for every Python', () => {
    const versions = new Map<string, Set<string>>();
    // these packages are in separate folders and environments
    for (const pin of LOCKS.filter((name) => !/(?:api|s3)-test|-ray\./.test(name)).flatMap(pins)) {
      const [, name = '', version = '', marker = ''] = /^(.+)==(\S+)(.*)$/.exec(pin) ?? [];
      const key = `${name} ${/python_full_version [<>=]+ '[\d.]+'/.exec(marker)?.[0] ?? ''}`;
      versions.set(key, (versions.get(key) ?? new Set()).add(version));
    }
    expect([...versions].filter(([, found]) => found.size > 1)).toEqual([]);
  });
});
