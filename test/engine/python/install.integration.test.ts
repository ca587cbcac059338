import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { runSetupStep } from '../../../src/engine/python/install.js';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'setup-step-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** A step that starts a child process, like pip when it builds a package, and writes both pids. */
const STEP = 'sleep 300 & echo $! > "$1/child"; echo $$ > "$1/step.new"; mv "$1/step.new" "$1/step"; wait';
const args = (): string[] => ['-c', STEP, 'sh', folder];
const runs = (name: string): boolean => existsSync(`/proc/${readFileSync(join(folder, name), 'utf8').trim()}`);
const started = (): Promise<unknown> =>
  expect.poll(() => existsSync(join(folder, 'step')), { timeout: 30_000 }).toBe(true);

it('ends, with its children, when its parent ends, also after kill -9', async () => {
  const script = join(folder, 'parent.mts');
  const source = join(packageRoot, 'src/engine/python/install.ts');
  writeFileSync(
    script,
    `import { runSetupStep } from ${JSON.stringify(source)};
     await runSetupStep('The step', '/bin/sh', ${JSON.stringify(args())});`,
  );
  const parent = spawn(process.execPath, ['--import', 'tsx', script], { cwd: packageRoot, stdio: 'ignore' });
  await started();
  expect([runs('step'), runs('child')]).toEqual([true, true]);
  parent.kill('SIGKILL');
  await expect.poll(() => [runs('step'), runs('child')], { timeout: 10_000 }).toEqual([false, false]);
}, 60_000);

it('ends with its children when it is cancelled', async () => {
  const stop = new AbortController();
  const step = runSetupStep('The step', '/bin/sh', args(), { signal: stop.signal });
  step.catch(() => {});
  await started();
  stop.abort();
  await expect(step).rejects.toMatchObject({ name: 'AbortError' });
  await expect.poll(() => [runs('step'), runs('child')], { timeout: 10_000 }).toEqual([false, false]);
}, 60_000);

it('reports the output of a step, and leaves no files', async () => {
  const lines: string[] = [];
  await runSetupStep('The step', '/bin/sh', ['-c', 'echo one; echo two >&2; echo $$ > "$1/step"', 'sh', folder], {
    onLine: (line) => lines.push(line),
  });
  expect(lines.toSorted()).toEqual(['one', 'two']);
  await expect(runSetupStep('The step', '/bin/sh', ['-c', 'echo error: no; exit 3'])).rejects.toMatchObject({
    code: 'PYTHON_SETUP_FAILED',
    message: expect.stringContaining('error: no') as string,
  });
}, 60_000);
