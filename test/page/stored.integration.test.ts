import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPage } from '../../.config/page.js';
import { packageRoot } from '../../src/base/package-root.js';
import { silentLogger } from '../../src/base/logger.js';
import { openParquetFile } from '../../src/recipes/score/result-parquet.js';
import { indexResults } from '../../src/recipes/view/results.js';
import { writePid } from '../../src/runs/run-directory.js';
import { serveView, type RunningView, type Shown } from '../../src/server/view/serve-view.js';
import { startService, withoutPython } from '../server/start-service.js';
import { openPage, seriousFindings, startBrowser } from './browser.js';
import { makeEvaluation, makeOutcomes, makeRun, writeLines } from './stored.js';
import { trainEvents } from './train-events.js';

let browser: Browser;
let folder: string;
beforeAll(async () => {
  await buildPage(join(packageRoot, 'dist'));
  folder = await mkdtemp(join(tmpdir(), 'stored-'));
  browser = await startBrowser();
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

const show = (shown: Shown): Promise<RunningView> => serveView(shown, { port: 0, log: silentLogger });

describe('qalign view', () => {
  it.each(['jsonl', 'parquet'] as const)('shows the rows of a %s file', async (format) => {
    const outcomes = await makeOutcomes(folder, 300);
    const file = join(folder, `scores.${format}`);
    if (format === 'jsonl') await writeLines(file, outcomes);
    else {
      const parquet = await openParquetFile(file);
      await parquet.write(outcomes);
      await parquet.close();
    }
    const results = await indexResults(file);
    const view = await show({ kind: 'results', results });
    const { page, problems } = await openPage(browser, view.url);
    await page.getByRole('link', { name: 'picture-0000.png' }).waitFor();
    expect(await page.locator('.list-body [role=row] svg.bars').count()).toBeGreaterThan(5);
    await page.waitForFunction(() =>
      [...document.querySelectorAll('img.thumb')]
        .slice(0, 5)
        .every((one) => (one as HTMLImageElement).naturalWidth > 0),
    );
    await page.locator('.list').evaluate((list) => list.scrollTo(0, list.scrollHeight));
    await page.getByRole('link', { name: 'picture-0299.png' }).waitFor();
    expect(await page.locator('.list-body [role=row]').count()).toBeLessThan(60);
    await page.getByPlaceholder('Find by name').fill('picture-000');
    await page.getByText('10 rows shown').waitFor();
    await page.getByRole('button', { name: 'Score', exact: true }).click();
    await page.locator('[aria-sort=ascending]').waitFor();
    await page.getByRole('link', { name: 'picture-0003.png' }).click();
    await page.locator('.big-score strong').waitFor();
    await page.getByText('0123456789abcdef').waitFor();
    if (format === 'jsonl') expect(await seriousFindings(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
    await view.close();
    results.close();
  });

  it('scrolls a million rows: jumps, small steps and the end', async () => {
    const results = {
      summary: { name: 'many', rows: 1e6, scored: 1e6, failed: 0, doubtful: 0, mean: null, models: [], histogram: null, scale: null, cut: false }, // prettier-ignore
      rows: ({ offset = 0, limit = 100 }) => ({
        total: 1e6,
        rows: Array.from({ length: Math.min(limit, 1e6 - offset) }, (_, i) => ({ n: offset + i + 1, input: `row-${offset + i + 1}`, task: null, score: 1, scale: null, level: null, level_probs: null, level_mass: null, entropy: null, warnings: [], error: null, model: null, score_version: null })), // prettier-ignore
      }),
    } as unknown as Extract<Shown, { kind: 'results' }>['results'];
    const view = await show({ kind: 'results', results: { ...results, media: () => join(folder, 'none.png') } });
    const { page } = await openPage(browser, view.url);
    await page.getByRole('link', { name: 'row-1', exact: true }).waitFor();
    const list = page.locator('.list');
    await list.evaluate((one) => one.scrollTo(0, one.scrollHeight));
    await page.getByRole('link', { name: 'row-1000000', exact: true }).waitFor();
    await list.evaluate((one) => one.scrollTo(0, one.scrollHeight / 2));
    const names = (): Promise<number[]> =>
      page.locator('.list-body a').evaluateAll((all) => all.map((one) => Number(one.textContent?.split('-')[1])));
    await expect.poll(async () => (await names())[0] ?? 0).toBeGreaterThan(490_000);
    const before = (await names())[0]!;
    await list.evaluate((one) => one.scrollBy(0, 68 * 3));
    await expect.poll(async () => (await names())[0]).toBe(before + 3);
    await page.close();
    await view.close();
  });

  it('follows a run while it is trained, and draws it over another one', async () => {
    const runs = join(folder, 'runs');
    const [done, active] = [await makeRun(runs, 'first', 400, 0), await makeRun(runs, 'second', 100, 1)];
    writePid(active, process.pid);
    const view = await show({ kind: 'run', folders: [done, active] });
    const { page, problems } = await openPage(browser, view.url);
    await page.locator('.legend').getByText('second').waitFor();
    expect(await page.locator('.charts svg').count()).toBe(6); // MFU is not known on a CPU
    await page.getByRole('link', { name: 'second' }).click();
    await page.getByText('step 100 of 400').waitFor();
    const ofLoss = (): Promise<string | null> =>
      page.locator('.charts svg[aria-label^="loss"] path[stroke-width="2"]').getAttribute('d');
    const before = await ofLoss();
    await appendFile(join(active, 'events.jsonl'), trainEvents(101, 150, 1));
    await page.getByText('step 150 of 400').waitFor();
    await expect.poll(ofLoss).not.toBe(before);
    await page.getByLabel('Smoothing').fill('0.9');
    await page.getByLabel('Value axis').selectOption('log');
    expect(await page.locator('.charts').innerHTML()).not.toMatch(/NaN|Infinity/);
    await rm(join(active, 'pid'));
    await appendFile(join(active, 'events.jsonl'), '{"event":"end","time":1790000200,"status":"stopped","step":150}\n');
    await page.locator('.status', { hasText: 'stopped' }).waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
    await view.close();
  });

  it('answers only below its secret, only for this machine, and only with pictures that rows name', async () => {
    const file = join(folder, 'secrets.jsonl');
    await writeLines(file, [{ input: '/etc/passwd', score: 1 }, { input: 'http://127.0.0.1/x.png', score: 1 }]); // prettier-ignore
    const results = await indexResults(file);
    const view = await show({ kind: 'results', results });
    const { origin } = new URL(view.url);
    const status = async (url: string): Promise<number> => (await fetch(url)).status;
    expect(await status(view.url)).toBe(200);
    expect((await fetch(view.url.slice(0, -1))).url).toBe(view.url);
    for (const path of ['/', '/v1/view', '/wrong/v1/view']) expect(await status(origin + path)).toBe(404);
    for (const path of ['v1/view/rows/1/picture', 'v1/view/rows/2/picture', 'v1/view/rows/3/picture', 'v1/train_runs'])
      expect(await status(view.url + path)).toBeGreaterThanOrEqual(400);
    const { request } = await import('node:http');
    const foreign = await new Promise<number | undefined>((done) =>
      request(`${view.url}v1/view`, { headers: { Host: 'evil.example' } }, (answer) => done(answer.statusCode)).end(),
    );
    expect(foreign).toBe(403);
    await view.close();
    results.close();
  });
});

describe('the page of a service', () => {
  it('shows its runs and evaluations, with outliers as pictures', async () => {
    const root = join(folder, 'root');
    await mkdir(root);
    const evaluation = await makeEvaluation(root);
    const service = await startService([`root=${root}`], withoutPython);
    const { runStore, runQueue } = service.services;
    const common = { owner: 'local', fingerprint: '', message: undefined, createdAt: 1.79e9, finishedAt: 1.79e9, status: 'completed' } as const; // prettier-ignore
    const [run, eval_] = [`run_${'a'.repeat(24)}`, `eval_${'b'.repeat(24)}`];
    runStore.insert({ ...common, id: run, kind: 'run', name: 'koniq', recipe: { name: 'koniq' }, folder: undefined });
    runStore.insert({ ...common, id: eval_, kind: 'eval', name: 'made-up', recipe: {}, folder: undefined });
    await mkdir(runQueue.folder(run), { recursive: true });
    await writeFile(join(runQueue.folder(run), 'events.jsonl'), trainEvents(1, 400, 0));
    const { cp } = await import('node:fs/promises');
    await cp(evaluation, runQueue.folder(eval_), { recursive: true });
    const { page, problems } = await openPage(browser, `${service.url}/#/runs`);
    await page.locator('.charts svg').first().waitFor();
    await page.getByRole('link', { name: 'Evaluations' }).click();
    await page.getByRole('link', { name: 'made-up' }).click();
    await page.locator('.charts circle').first().waitFor();
    await page.locator('.thumbs img').first().waitFor();
    expect(await page.locator('.thumbs img').count()).toBe(12);
    await page.getByText(/^\[0\.\d+, 0\.\d+\]$/).first().waitFor(); // prettier-ignore
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download report.html' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('made-up-report.html');
    expect(await seriousFindings(page)).toEqual([]);
    for (const width of [360, 1280, 2560]) {
      await page.setViewportSize({ width, height: 800 });
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), `${width}`).toBeLessThanOrEqual(0); // prettier-ignore
    }
    expect(problems).toEqual([]);
    await page.close();
    await service.close();
  });
});
