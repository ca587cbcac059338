import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createScorerFrom } from '../../src/recipes/score/score.js';
import { EXAMPLE_PICTURE } from '../../src/media/probe-picture.js';
import { fakeParts } from '../recipes/score/fake-scorer.js';
import { startService, type TestService } from '../server/start-service.js';
import { chromium, startBrowser, type Browser, type Page } from './chromium.js';
import { compileClient } from './compile-client.js';

if (chromium === undefined)
  process.stderr.write(
    '\nNOT RUN: the client in a browser (no chromium on PATH; Debian: apt-get install chromium)\n\n',
  );

let folder: string;
let pages: Server;
let service: TestService;
let browser: Browser;
let page: Page;
let scoreMs = 0;

/** Serves the page and the client: another port than the service, so another origin. */
async function servePages(): Promise<string> {
  await compileClient(folder);
  pages = createServer((req, res) => {
    const name = basename(req.url ?? '/');
    if (!name.endsWith('.js')) return res.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html>');
    readFile(join(folder, name)).then(
      (code) => res.writeHead(200, { 'Content-Type': 'text/javascript' }).end(code),
      () => res.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
}

/** Answers at once, or after `scoreMs`. */
const slowScorer = (): ReturnType<typeof createScorerFrom> => {
  const score = async ({ prompts }: { prompts: unknown[] }) => {
    await sleep(scoreMs);
    return prompts.map(() => ({ logits: [4, 3, 2, 1, 0], logSumExp: 300 }));
  };
  return createScorerFrom(fakeParts({ engineCalls: [], closed: 0 }, { score }), { model: 'tiny-untrained' });
};

describe.skipIf(chromium === undefined)('the client in a browser, in a page of another origin', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'qalign-browser-'));
    const origin = await servePages();
    service = await startService([`cors_origins=[${origin}]`, 'limits.memory_mb=1'], { createScorer: slowScorer });
    browser = await startBrowser(chromium as string);
    page = await browser.open(`${origin}/`);
    await page.run(`
      const { createClient, ServiceError } = await import('/client.js');
      const bytes = Uint8Array.from(atob('${EXAMPLE_PICTURE}'), (c) => c.charCodeAt(0));
      const picture = (filler) => new File([bytes, new Uint8Array(filler)], 'ä.png', { type: 'image/png' });
      Object.assign(globalThis, { client: createClient({ url: '${service.url}' }), picture, ServiceError });`);
  });
  afterAll(async () => {
    await browser.close();
    await service.close();
    await new Promise((resolve) => pages.close(resolve));
    await rm(folder, { recursive: true });
  });

  it('scores a File under its name, in a form and as the body', async () => {
    const { items } = await page.run<{ items: { ok: boolean; input: string }[] }>('return client.score([picture(0)])');
    expect(items).toMatchObject([{ ok: true, input: 'ä.png' }]);
    expect(await page.run('return client.scoreFile(picture(0), { scale: "unit" })')).toMatchObject({
      ok: true,
      input: 'ä.png',
      results: [{ scale: 'unit' }],
    });
  });

  it('streams the items as lines, by fetch and, with upload progress, by XMLHttpRequest', async () => {
    for (const extra of ['{}', '{ onUploadProgress() {} }']) {
      const seen = await page.run<number[]>(`
        const seen = [];
        for await (const item of client.scoreStream([picture(0), picture(0)], {}, ${extra})) seen.push(item.index);
        return seen.sort();`);
      expect(seen).toEqual([0, 1]);
    }
  });

  it('reports how much of an upload was sent', async () => {
    const { told, scored } = await page.run<{ told: [number, number][]; scored: number }>(`
      const told = [];
      const onUploadProgress = (sent, total) => told.push([sent, total]);
      const { scored } = await client.score([picture(20_000_000)], {}, { onUploadProgress });
      return { told, scored };`);
    const total = told[0]?.[1] as number;
    expect(scored).toBe(1);
    expect(total).toBeGreaterThan(20_000_000);
    expect(told.length).toBeGreaterThan(2);
    expect([told[0], told.at(-1)]).toEqual([
      [0, total],
      [total, total],
    ]);
  });

  it('sends again after 429, at the time that the service names', async () => {
    scoreMs = 500;
    const before = service.logged.length;
    // JSON bodies that fill the memory of the service: the second waits for the first
    const answers = await page.run<{ scored: number }[]>(`
      const mixed = () => client.score([picture(500_000), { base64: '${EXAMPLE_PICTURE}' }]);
      return Promise.all([mixed(), mixed()]);`);
    scoreMs = 0;
    expect(answers.map(({ scored }) => scored)).toEqual([2, 2]);
    const statuses = service.logged.slice(before).map(({ fields }) => fields?.['status']);
    expect(statuses).toContain(429);
  });

  it('ends when its signal aborts, and reports errors of the service', async () => {
    scoreMs = 2000;
    for (const extra of ['', 'onUploadProgress() {}'])
      expect(
        await page.run(`
          const abort = new AbortController();
          setTimeout(() => abort.abort(), 100);
          return client.score([picture(0)], {}, { signal: abort.signal, ${extra} }).catch((error) => error.name);`),
      ).toBe('AbortError');
    scoreMs = 0;
    for (const extra of ['', 'onUploadProgress() {}'])
      expect(
        await page.run(`
          return client.score([picture(0)], { model: 'none' }, { ${extra} })
            .catch((error) => [error instanceof ServiceError, error.code, error.attempts]);`),
      ).toEqual([true, 'MODEL_NOT_LOADED', 1]);
  });
});
