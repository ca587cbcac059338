import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { knownPython, managedFolder } from '../../../src/engine/python/environment.js';
import { recall, remember } from '../../../src/engine/python/known.js';

const answer = { version: '3.11.4', major: 3, minor: 11, canVenv: true, missing: [] };
let folder: string;
let python: string;
let library: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'known-python-'));
  library = join(folder, 'lib');
  python = join(folder, 'bin', 'python3');
  for (const name of ['bin', 'lib', 'cache']) mkdirSync(join(folder, name));
  writeFileSync(python, 'an interpreter');
  chmodSync(python, 0o755);
  vi.stubEnv('PATH', join(folder, 'bin'));
  vi.stubEnv('QALIGN_CACHE', join(folder, 'cache'));
  vi.stubEnv('QALIGN_PYTHON', '');
  vi.stubEnv('PYTHONPATH', '');
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});
const store = (self = python, modules: readonly string[] = []): Promise<void> =>
  remember('python3', modules, answer, { self, path: [library, join(folder, 'none.zip')] });

async function makeEnvironment(): Promise<string> {
  const made = await managedFolder(answer);
  mkdirSync(join(made, 'bin'), { recursive: true });
  for (const name of ['complete', 'bin/python']) writeFileSync(join(made, name), '');
  return made;
}

describe('the answer of an interpreter', () => {
  it('is known until its file, its modules or the question change', async () => {
    expect(recall('python3', [])).toBeUndefined();
    await store();
    expect(recall('python3', [])).toMatchObject({ answer, isInterpreter: true });
    expect(recall(python, [])).toMatchObject({ answer });
    expect(recall('python3', ['torch'])).toBeUndefined();
    vi.stubEnv('PYTHONPATH', '/elsewhere');
    expect(recall('python3', [])).toBeUndefined();
    vi.stubEnv('PYTHONPATH', '');
    mkdirSync(join(library, 'a-new-module'));
    utimesSync(library, 1, 1);
    expect(recall('python3', [])).toBeUndefined();
    await store();
    writeFileSync(python, 'another interpreter');
    expect(recall('python3', [])).toBeUndefined();
  });

  it('of a script that starts an interpreter is marked', async () => {
    const real = join(folder, 'real');
    writeFileSync(real, '');
    await store(real);
    expect(recall('python3', [])).toMatchObject({ isInterpreter: false });
    rmSync(python);
    symlinkSync(real, python);
    await store(real);
    expect(recall('python3', [])).toMatchObject({ isInterpreter: true });
  });

  it('is not stored without a cache folder, and a damaged file is as good as none', async () => {
    writeFileSync(join(folder, 'cache', 'interpreters.json'), '{"');
    expect(recall('python3', [])).toBeUndefined();
    await store();
    expect(recall('python3', [])).toMatchObject({ answer });
    rmSync(join(folder, 'cache'), { recursive: true });
    await store();
    expect(recall('python3', [])).toBeUndefined();
  });
});

describe('knownPython', () => {
  it('is the managed environment of a known interpreter, if it is complete', async () => {
    await store();
    expect(await knownPython()).toBeUndefined();
    const made = await makeEnvironment();
    expect((await knownPython())?.executable).toBe(join(made, 'bin/python'));
    rmSync(join(made, 'bin/python'));
    expect(await knownPython()).toBeUndefined();
  });

  it('is QALIGN_PYTHON only if it was asked for the modules and is no script', async () => {
    vi.stubEnv('QALIGN_PYTHON', python);
    await store();
    expect(await knownPython()).toBeUndefined();
    const { REQUIRED_MODULES } = await import('../../../src/engine/python/probe.js');
    await store(library, REQUIRED_MODULES);
    expect(await knownPython()).toBeUndefined();
    await store(python, REQUIRED_MODULES);
    expect((await knownPython())?.executable).toBe(python);
  });
});
