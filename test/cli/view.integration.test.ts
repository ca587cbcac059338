import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { silentLogger } from '../../src/base/logger.js';
import { indexResults } from '../../src/recipes/view/results.js';
import { serveView } from '../../src/server/view/serve-view.js';
import { openerOf } from '../../src/cli/open-browser.js';

const folder = mkdtempSync(join(tmpdir(), 'view-cli-'));
const temporary = join(folder, 'tmp');
mkdirSync(temporary);
afterAll(() => rmSync(folder, { recursive: true }));

it('opens nothing without a display', () => {
  expect(openerOf('linux', {})).toBeUndefined();
  expect(openerOf('linux', { WAYLAND_DISPLAY: 'wayland-0' })).toEqual(['xdg-open']);
  expect(openerOf('darwin', {})).toEqual(['open']);
});

describe('qalign view as a process', () => {
  it('prints its address, answers, and ends with Ctrl-C without leaving anything', async () => {
    const file = join(folder, 'scores.jsonl');
    writeFileSync(file, '{"input":"a.png","score":3.5}\n');
    const child = spawn(process.execPath, ['--import', 'tsx', join(packageRoot, 'src/cli/main.ts'), 'view', file], {
      cwd: packageRoot,
      // an opener that does not exist must not matter
      env: { ...process.env, TMPDIR: temporary, DISPLAY: ':99', PYTHON: 'none', QALIGN_PYTHON: '/nonexistent' },
    });
    const ended = new Promise<number | null>((done) => child.on('close', done));
    const url = await new Promise<string>((done) => child.stdout.once('data', (line) => done(String(line).trim())));
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{24}\/$/);
    expect(await (await fetch(`${url}v1/view`)).json()).toMatchObject({ rows: 1, mean: 3.5 });
    const { port } = new URL(url);
    const results = await indexResults(file);
    await expect(serveView({ kind: 'results', results }, { port: Number(port), log: silentLogger })).rejects.toThrow(
      `127.0.0.1:${port} is in use; choose another with --port N`,
    );
    results.close();
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    expect(readdirSync(temporary).filter((name) => name.startsWith('qalign-'))).toEqual([]);
  });
});
