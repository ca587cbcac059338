import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { cli } from './terminal/terminal-double.js';
import { packageRoot } from '../../src/base/package-root.js';

/** An existing file: a missing one is refused before the search for Python. */
const PICTURE = join(packageRoot, 'test/fixtures/pictures/pristine.jpg');

afterEach(() => vi.unstubAllEnvs());

describe('qalign doctor', () => {
  it('reports as JSON what exists and what a missing part prevents', async () => {
    const { code, out } = await cli('doctor', '--json');
    const report = JSON.parse(out) as { usable: boolean; checks: { name: string; status: string; cost: string }[] };
    expect(code).toBe(report.usable ? 0 : 1);
    expect(report.checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['node', 'python', 'torch', 'ffmpeg', 'ffprobe', 'models', 'cache']),
    );
    for (const { status, cost, name } of report.checks) if (status === 'missing') expect(cost, name).not.toBe('');
  }, 60_000);

  it('reports what an invalid interpreter prevents', async () => {
    const before = process.env['QALIGN_PYTHON'];
    process.env['QALIGN_PYTHON'] = '/nowhere/python';
    try {
      const { code, out } = await cli('doctor');
      expect(code).toBe(1);
      expect(out).toContain('/nowhere/python (QALIGN_PYTHON) does not run');
      expect(await cli('score', PICTURE)).toMatchObject({
        code: 1,
        said: [expect.stringMatching(/QALIGN_PYTHON is \/nowhere\/python.*\[PYTHON_NOT_FOUND\]/)],
      });
    } finally {
      if (before === undefined) delete process.env['QALIGN_PYTHON'];
      else process.env['QALIGN_PYTHON'] = before;
    }
  });
});

describe('qalign doctor and a cache that cannot be created', () => {
  it('reports that nothing can be scored, like qalign score', async () => {
    vi.stubEnv('QALIGN_CACHE', '/proc/version/cache');
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:9');
    vi.stubEnv('QALIGN_PYTHON', '');
    const { code, out } = await cli('doctor');
    expect(code).toBe(1);
    expect(out).toMatch(
      /^✗ environment +not created yet$[^]*cannot be created; set QALIGN_CACHE[^]*127.0.0.1:9 does not respond/m,
    );
    expect(out).toMatch(/Nothing can be scored yet: see ✗ above\.\n$/);
    expect(await cli('score', PICTURE)).toMatchObject({
      code: 1,
      said: [expect.stringContaining('[PYTHON_SETUP_FAILED]')],
    });
  }, 60_000);

  it('reports what cannot be scored without a writable temporary folder; sockets use another folder', async () => {
    for (const place of ['/proc/version', join(packageRoot, 'none')]) {
      vi.stubEnv('TMPDIR', place);
      const { code, out } = await cli('doctor');
      expect(code).toBe(0);
      expect(out).toMatch(new RegExp(`^! temporary +${place} \\(not writable\\)`, 'm'));
      expect(out).toContain('Clips on stdin and runs with several models cannot be scored');
    }
  }, 60_000);
});

describe('qalign models', () => {
  it('shows the description of a model that is neither local nor available', async () => {
    vi.stubEnv('HF_HUB_CACHE', '/nowhere/hub');
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:9');
    const shown = await cli('models', 'inspect', 'one-align');
    expect(shown).toMatchObject({
      code: 1,
      said: [
        expect.stringMatching(/about 16\.4 GB will come from q-future\/one-align; licence: MIT/),
        expect.stringMatching(/no network connection to .*\[MODEL_DOWNLOAD_FAILED\]$/),
      ],
    });
    expect(shown.out).toMatch(/^from +q-future\/one-align at dcc603b[^]*^parameters +8,197,859,328$[^]*^licence +MIT/m);
    expect(await cli('models', 'pull', 'one-align')).toMatchObject({ code: 1, out: '' });
    expect((await cli('models', 'inspect', 'one-align', '--offline')).said[0]).toContain('[MODEL_NOT_FOUND]');
  }, 60_000);

  it('lists all descriptions, valid and with licence', async () => {
    const { out } = await cli('models', 'list', '--json');
    const names = (JSON.parse(out) as { name: string; licence: string }[]).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['one-align', 'deqa-score', 'deqa-score-lora', 'mplug-owl2']));
  });
});
