import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ensurePython } from '../../../src/engine/python/environment.js';

// the interpreter is a shell script that behaves like Python: a real environment takes a minute and a gigabyte
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'python-env-'));
  mkdirSync(join(folder, 'bin'));
  mkdirSync(join(folder, 'cache'));
  vi.stubEnv('PATH', `${join(folder, 'bin')}:${shellOnly()}`);
  vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'));
  vi.stubEnv('QALIGN_PYTHON', '');
  vi.stubEnv('CALLS', join(folder, 'calls'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** A folder with the programs that the script needs, but no Python. */
function shellOnly(): string {
  const tools = join(folder, 'tools');
  mkdirSync(tools);
  for (const name of ['mkdir', 'cp', 'cat'])
    writeFileSync(join(tools, name), `#!/bin/sh\nexec /bin/${name} "$@"\n`, { mode: 0o755 });
  return tools;
}

function interpreter({
  name = 'python3',
  version = [3, 11],
  canVenv = true,
  missing = [] as string[],
  pip = 'exit 0',
} = {}): string {
  const path = join(folder, 'bin', name);
  const [major, minor] = version;
  const answer = JSON.stringify({ version: `${major}.${minor}.4`, major, minor, canVenv, missing });
  writeFileSync(
    path,
    `#!/bin/sh
case "$*" in
  -c*) echo '${answer}' ;;
  "-m venv"*) echo venv >> "$CALLS"; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  "-m pip"*) echo pip >> "$CALLS"; echo "Collecting torch==2.13.0"; ${pip} ;;
esac
`,
  );
  chmodSync(path, 0o755);
  return path;
}
const calls = (): string[] =>
  existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n') : [];
const inCache = (): string[] =>
  readdirSync(join(folder, 'cache'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /building|lock/.test(name),
  );

describe('the managed environment', () => {
  it('is created once for concurrent callers, and reported', async () => {
    interpreter();
    const said: string[] = [];
    const found = await Promise.all(
      Array.from({ length: 4 }, () => ensurePython({ onProgress: (message) => said.push(message) })),
    );
    expect(new Set(found.map(({ executable }) => executable)).size).toBe(1);
    expect(calls()).toEqual(['venv', 'pip', 'pip']);
    expect(said).toContain('creating the Python environment: collecting torch==2.13.0');
    expect(said.some((message) => message.startsWith('waiting for process'))).toBe(true);
    expect(inCache()).toEqual([]);
    await ensurePython();
    expect(calls()).toEqual(['venv', 'pip', 'pip']);
  });

  it('is created again when its interpreter no longer exists', async () => {
    interpreter();
    const { executable } = await ensurePython();
    rmSync(executable);
    expect((await ensurePython()).executable).toBe(executable);
    expect(calls()).toEqual(['venv', 'pip', 'pip', 'venv', 'pip', 'pip']);
  });

  it.each([
    ['echo "OSError: [Errno 28] No space left on device" >&2; exit 1', /the disk is full/],
    ['echo "NewConnectionError: Network is unreachable" >&2; exit 1', /package index cannot be reached/],
    ['echo "ERROR: No matching distribution found for torch==2.13.0" >&2; exit 1', /no torch==2.13.0 for this Python/],
    [
      `printf 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you\\n    numpy==2.4.6 from file:///a.whl (from -r a.lock):\\n        Expected sha256 0\\n' >&2; exit 1`,
      /has a file of numpy==2.4.6 that does not match the lock file/,
    ],
    ['exit 7', /failed \(Collecting torch==2.13.0\)/],
  ])('fails in one sentence and leaves nothing behind: %s', async (pip, sentence) => {
    interpreter({ pip });
    await expect(ensurePython()).rejects.toMatchObject({
      code: 'PYTHON_SETUP_FAILED',
      message: expect.stringMatching(sentence) as string,
    });
    expect(inCache()).toEqual([]);
    interpreter();
    expect(existsSync((await ensurePython()).executable)).toBe(true);
  });

  it('can be cancelled', async () => {
    interpreter({ pip: 'exec /bin/sleep 60' });
    const stop = new AbortController();
    await expect(
      ensurePython({
        signal: stop.signal,
        onProgress: (message) => message.includes('torch') && stop.abort(new Error('enough')),
      }),
    ).rejects.toThrow('enough');
    expect(inCache()).toEqual([]);
  });

  it('reports why a cache folder cannot be used', async () => {
    interpreter();
    writeFileSync(join(folder, 'file'), '');
    vi.stubEnv('XDG_CACHE_HOME', join(folder, 'file'));
    await expect(ensurePython()).rejects.toMatchObject({
      code: 'PYTHON_SETUP_FAILED',
      message: expect.stringContaining('set QALIGN_CACHE') as string,
    });
  });
});

describe('which Python', () => {
  it('none, an old one, one without venv: one sentence each', async () => {
    await expect(ensurePython()).rejects.toMatchObject({
      code: 'PYTHON_NOT_FOUND',
      message: expect.stringContaining('there is no Python on PATH') as string,
    });
    interpreter({ version: [3, 9] });
    await expect(ensurePython()).rejects.toMatchObject({
      message: expect.stringContaining('only python3 3.9.4') as string,
    });
    interpreter({ name: 'python3.12', version: [3, 12], canVenv: false });
    await expect(ensurePython()).rejects.toMatchObject({ message: expect.stringContaining('python3-venv') as string });
  });

  it('skips an old one for a newer one', async () => {
    interpreter({ version: [3, 9] });
    interpreter({ name: 'python3.12', version: [3, 12] });
    expect(existsSync((await ensurePython()).executable)).toBe(true);
  });

  it('QALIGN_PYTHON is used unchanged, or refused by name', async () => {
    vi.stubEnv('QALIGN_PYTHON', interpreter({ name: 'mine' }));
    expect((await ensurePython()).executable).toBe(join(folder, 'bin/mine'));
    expect(calls()).toEqual([]);
    vi.stubEnv('QALIGN_PYTHON', interpreter({ name: 'mine', missing: ['zmq'] }));
    await expect(ensurePython()).rejects.toMatchObject({ message: expect.stringContaining('lacks zmq') as string });
    vi.stubEnv('QALIGN_PYTHON', join(folder, 'nothing'));
    await expect(ensurePython()).rejects.toMatchObject({
      message: expect.stringContaining('not a working Python') as string,
    });
  });
});
