import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPage } from '../../.config/page.js';
import { packageRoot } from '../../src/base/package-root.js';
import { convertDataset } from '../../src/recipes/data/convert.js';
import { readRecords } from '../../src/datasets/records.js';
import { startService, withoutPython, type TestService } from '../server/start-service.js';
import { openPage, seriousFindings, startBrowser, type Watched } from './browser.js';

let service: TestService;
let browser: Browser;
let root: string;
let pictures: { name: string; mimeType: string; buffer: Buffer }[];

beforeAll(async () => {
  await buildPage(join(packageRoot, 'dist'));
  root = await mkdtemp(join(tmpdir(), 'qalign-page-'));
  pictures = await Promise.all(['sharp', 'soft', 'other'].map(picture));
  await Promise.all(pictures.map(({ name, buffer }) => writeFile(join(root, name), buffer)));
  service = await startService(['models=[nano]', `root=${root}`, 'rate_per_minute=0']);
  browser = await startBrowser();
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await service?.close();
  await rm(root, { recursive: true, force: true });
});

async function picture(name: string, seed: number): Promise<{ name: string; mimeType: string; buffer: Buffer }> {
  const noise = createHash('sha256').update(`${name}${seed}`).digest();
  const data = Buffer.from(Array.from({ length: 32 * 24 * 3 }, (_, i) => (noise[i % 32]! + i) % 256));
  const made = sharp(data, { raw: { width: 32, height: 24, channels: 3 } }).resize(320, 240);
  return { name: `${name}.png`, mimeType: 'image/png', buffer: await made.png().toBuffer() };
}

const open = async (hash = '', url = service.url): Promise<Watched> => {
  const watched = await openPage(browser, `${url}/${hash}`);
  await watched.page.waitForSelector('h1');
  return watched;
};
const choose = (page: Page, files: typeof pictures, label = 'Choose files'): Promise<void> =>
  page.locator(`input[aria-label="${label}"]`).setInputFiles(files);
const scored = (page: Page, count: number): Promise<unknown> =>
  page.waitForFunction(
    (n) => document.querySelector('.summary strong')?.textContent?.replaceAll(',', '') === String(n),
    count,
    { timeout: 60_000 },
  );
async function saved(page: Page, button: string): Promise<string> {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: button }).click(),
  ]);
  return readFile(await download.path(), 'utf8');
}

describe('the page', () => {
  it('is small, quick and strict', async () => {
    const answer = await fetch(`${service.url}/`);
    expect(answer.headers.get('content-security-policy')).toContain(
      "default-src 'none'; script-src 'self'; style-src 'self'",
    );
    const page = await browser.newPage();
    let bytes = 0;
    page.on(
      'response',
      (response) =>
        void response.body().then(
          (body) => (bytes += body.length),
          () => undefined,
        ),
    );
    await page.goto(`${service.url}/`);
    await page.waitForSelector('.drop');
    const shown = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
    expect(shown).toBeLessThan(1000);
    expect(bytes).toBeGreaterThan(10_000);
    expect(bytes).toBeLessThan(300_000);
    await page.close();
  });

  it('scores dropped pictures, sorts, filters and exports them, and explains one', async () => {
    const { page, problems } = await open();
    await choose(page, [...pictures, { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('x') }]);
    await scored(page, 3);
    await page.getByText('1 file was left out').waitFor();
    expect(await page.locator('.list-body [role=row] svg.bars').count()).toBe(3);
    await page.getByRole('button', { name: 'Score', exact: true }).click();
    const rows = (await saved(page, 'JSONL'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { score: number; input: string });
    expect(rows.map(({ score }) => score)).toEqual(rows.map(({ score }) => score).sort((a, b) => a - b));
    const { items } = await service.client.score(
      pictures.map(({ name, buffer }) => ({ data: buffer, name })),
      {},
    );
    for (const {
      results: [result],
    } of items)
      expect(rows.find(({ input }) => input === result!.input)?.score).toBeCloseTo(
        (result as { score: number }).score,
        4,
      );
    expect((await saved(page, 'CSV')).split('\n')).toHaveLength(5);
    await page.getByPlaceholder('Find by name').fill('sharp');
    expect(await page.locator('.list-body [role=row]').count()).toBe(1);
    await page.getByRole('link', { name: 'sharp.png' }).click();
    await page.locator('.big-score strong').waitFor();
    await page.getByText('Copy as code').click();
    expect(await page.locator('.snippet pre').allTextContents()).toEqual([
      expect.stringContaining(`${service.url}/v1/score`),
      expect.stringContaining("from 'qalign/client'"),
      expect.stringContaining('requests.post('),
    ]);
    expect(await seriousFindings(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
  });

  it('shows a quality map over a picture on request, by mouse and by keyboard', async () => {
    const { page, problems } = await open();
    const noise = createHash('sha256').update('map').digest();
    const data = Buffer.from(Array.from({ length: 48 * 36 * 3 }, (_, i) => (noise[i % 32]! + i) % 256));
    const raw = sharp(data, { raw: { width: 48, height: 36, channels: 3 } });
    await choose(page, [
      { name: 'map.png', mimeType: 'image/png', buffer: await raw.resize(960, 720).png().toBuffer() },
    ]);
    await scored(page, 1);
    await page.getByRole('link', { name: 'map.png' }).click();
    const score = await page.locator('.big-score strong').textContent();
    expect(await page.locator('.map-layer').count()).toBe(0);
    await page.getByRole('button', { name: 'Quality map' }).click();
    const layer = page.locator('.map-layer');
    await layer.waitFor({ timeout: 120_000 });
    expect(await layer.locator('g rect').count()).toBe(6);
    const boxes = (): Promise<number> =>
      page.evaluate(() => {
        const [a, b] = ['.map-layer', '.picture img'].map((name) =>
          document.querySelector(name)!.getBoundingClientRect(),
        );
        return Math.max(
          Math.abs(a!.left - b!.left),
          Math.abs(a!.top - b!.top),
          Math.abs(a!.width - b!.width),
          Math.abs(a!.height - b!.height),
        );
      });
    await expect.poll(boxes).toBeLessThan(1);
    expect(await page.locator('.big-score strong').textContent()).toBe(score);
    const slider = page.getByLabel('Opacity of the map');
    await slider.focus();
    await page.keyboard.press('ArrowRight');
    expect(await layer.locator('g').getAttribute('opacity')).toBe('0.6');
    await layer.focus();
    for (const key of ['ArrowUp', 'ArrowLeft', 'ArrowLeft', 'ArrowDown', 'ArrowRight']) await page.keyboard.press(key);
    const words = (): Promise<string | null> => page.locator('#map-window').textContent();
    await expect.poll(words).toContain('at x 224, y 208');
    await layer.locator('g rect').first().hover();
    await expect.poll(words).toContain('at x 0, y 0');
    await page.getByText('too few to locate damage').waitFor();
    await page.getByText('Map as a table').click();
    expect(await page.locator('.map-table td').count()).toBe(6);
    const { map } = JSON.parse(await saved(page, 'Map as JSON')) as { map: { scores_of: string; values: number[] } };
    expect([map.scores_of, map.values.length]).toEqual(['windows', 6]);
    expect(await saved(page, 'Map as PNG')).toContain('PNG');
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await seriousFindings(page)).toEqual([]);
      const shots = process.env['QALIGN_SCREENSHOTS'];
      if (shots !== undefined) await page.screenshot({ path: join(shots, `map-${colorScheme}.png`), fullPage: true });
    }
    expect(problems).toEqual([]);
    await page.close();
  }, 180_000);
  it('draws the frame curve of a clip, which follows the player and moves it', async () => {
    const source = ['-f', 'lavfi', '-i', 'testsrc2=s=320x240:r=10:d=4'];
    const effects = ['-vf', "boxblur=10:enable='between(t,1.5,2.5)'", '-c:v', 'libvpx', '-b:v', '600k', '-g', '5'];
    execFileSync('ffmpeg', ['-v', 'error', ...source, ...effects, join(root, 'moving.webm')]);
    const buffer = await readFile(join(root, 'moving.webm'));
    const { page, problems } = await open();
    await choose(page, [{ name: 'moving.webm', mimeType: 'video/webm', buffer }]);
    await scored(page, 1);
    await page.getByRole('link', { name: 'moving.webm' }).click();
    await page.getByRole('button', { name: 'Score the frames' }).click();
    await page.locator('.curve-plot svg circle title').first().waitFor({ state: 'attached', timeout: 60_000 });
    const position = (): Promise<number> => page.$eval('video', ({ currentTime }) => currentTime);
    const slider = page.getByRole('slider', { name: 'Frame' });
    // the blurred frame is the worst, and its picture is in the list
    expect(await slider.getAttribute('aria-valuetext')).toContain('frame 3 of 4, 2.00 s');
    await page.waitForFunction(() => document.querySelectorAll('.worst img').length === 3);
    await page.getByRole('button', { name: 'at 2.0 s' }).click();
    await page.waitForFunction(() => Math.abs((document.querySelector('video')?.currentTime ?? 0) - 2) < 0.1);
    // plot and keys move the player, and the player moves the cursor
    const box = (await page.locator('.curve-cursor').boundingBox())!;
    await page.mouse.click(box.x + box.width * 0.97, box.y + box.height / 2);
    expect(await position()).toBeCloseTo(3, 1);
    await slider.press('ArrowLeft');
    await slider.press('ArrowLeft');
    expect(await position()).toBeCloseTo(1, 1);
    await page.$eval('video', (video) => void (video.currentTime = 0.2));
    await page.waitForFunction(() => document.querySelector('.curve-readout')?.textContent?.startsWith('frame 1 of 4'));
    const lines = (await saved(page, 'Curve as CSV')).trim().split('\n');
    expect(lines[0]).toBe('input,task,model,scale,window,index,time_s,score');
    const curve = JSON.parse(await saved(page, 'Curve as JSON')) as { scores: number[]; times_s: number[] };
    expect(lines.slice(1).map((line) => Number(line.split(',').at(-1)))).toEqual(curve.scores);
    expect(curve.times_s).toEqual([0, 1, 2, 3]);
    await page.getByText('Table of the frames').click();
    expect(await page.locator('.curve-table tbody tr').count()).toBe(4);
    expect(await seriousFindings(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
  });

  // Nano scores 1000 pictures in a minute or more on two cores; the subject here is the page.
  it('takes a drop of 1000 files, with few rows in the document', async () => {
    const quick = await startService(['rate_per_minute=0'], withoutPython);
    const { page, problems } = await open('', quick.url);
    const [first] = await Promise.all([
      sharp({ create: { width: 8, height: 8, channels: 3, background: '#7a9' } })
        .png()
        .toBuffer(),
    ]);
    await page.evaluate((base64) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const data = new DataTransfer();
      for (let i = 0; i < 1000; i++) data.items.add(new File([bytes], `picture-${i}.png`, { type: 'image/png' }));
      document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data }));
    }, first.toString('base64'));
    await scored(page, 1000);
    expect(await page.locator('.list-body [role=row]').count()).toBeLessThan(60);
    await page.locator('.list').evaluate((list) => list.scrollTo(0, list.scrollHeight));
    await page.getByRole('link', { name: 'picture-999.png' }).waitFor();
    expect(problems).toEqual([]);
    await page.close();
    await quick.close();
  });

  it('waits as long as 429 asks, says so, and then scores', async () => {
    const { page } = await open();
    let refusals = 0;
    await page.route('**/v1/score', async (route) => {
      if (refusals++ > 0) return route.continue();
      const error = { code: 'OVERLOADED', message: 'busy', retryable: true, request_id: 'x' };
      await route.fulfill({ status: 429, headers: { 'Retry-After': '2' }, json: { error } });
    });
    const started = Date.now();
    await choose(page, pictures);
    await page.getByText(/Sending continues in/).waitFor();
    await scored(page, 3);
    expect(Date.now() - started).toBeGreaterThan(1900);
    await page.close();
  });

  it('shows a failure in its row, and retries it', async () => {
    const { page } = await open();
    await choose(page, [
      pictures[0]!,
      { name: 'broken.png', mimeType: 'image/png', buffer: Buffer.from('no picture') },
    ]);
    await page.locator('.summary').getByText('1 failed').waitFor();
    await page.getByRole('button', { name: 'Retry broken.png' }).click();
    await page.locator('.summary').getByText('1 failed').waitFor();
    expect(await page.locator('.failed-text code').textContent()).toMatch(/^[A-Z_]+$/);
    await page.close();
  });

  it('follows a job to its end, through a lost stream', async () => {
    const { page, problems } = await open('#/jobs');
    let streams = 0;
    await page.route('**/events', async (route) => {
      if (streams++ > 0) return route.continue();
      await route.abort('connectionreset');
    });
    await page.getByText('New job').click();
    await page.locator('.new-job textarea').fill(`${pictures.map(({ name }) => name).join('\n')}\nmissing.png`);
    await page.getByRole('button', { name: 'Start job' }).click();
    await page.locator('.status-ok', { hasText: 'completed' }).waitFor();
    await page.getByRole('img', { name: 'results by score' }).waitFor();
    await page.getByText('MEDIA_NOT_FOUND').first().waitFor();
    await expect.poll(() => streams).toBeGreaterThan(1);
    expect(await seriousFindings(page)).toEqual([]);
    expect(problems.filter((text) => !text.includes('ERR_CONNECTION_RESET'))).toEqual([]);
    await page.close();
  });

  it('compares two pictures, and exports blind choices that dataset conversion reads', async () => {
    const { page, problems } = await open('#/compare');
    await choose(page, pictures, 'Choose pictures');
    await page.getByRole('button', { name: 'Compare by the model' }).click();
    await page.getByText('probability that A is rated better').waitFor();
    await page.getByRole('button', { name: 'Zoom in' }).click();
    const transforms = await page
      .locator('.side img')
      .evaluateAll((images) => images.map((image) => (image as HTMLElement).style.transform));
    expect(transforms).toEqual(Array(2).fill('translate(0px, 0px) scale(1.25)'));
    await page.getByText('Blind: choose first').click();
    await page.getByText('probability that A is rated better').waitFor({ state: 'detached' });
    for (let i = 0; i < 3; i++) {
      await page.getByRole('button', { name: 'A is better' }).click();
      await page.getByRole('button', { name: 'Next pair' }).click();
    }
    const file = join(root, 'ratings.csv');
    await writeFile(file, await saved(page, 'Ratings as CSV'));
    const { files } = await convertDataset({
      dataset: file,
      own: { imageColumn: 'image', scoreColumn: 'mos' },
      range: [1, 5],
      media: root,
      out: join(root, 'records'),
    });
    const records = await readRecords(files[0]!.path);
    expect(records.map(({ id }) => id).sort()).toEqual(pictures.map(({ name }) => name).sort());
    expect(await seriousFindings(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.close();
  });

  it.each(['', '#/models', '#/health', '#/jobs', '#/compare', '#/nothing'])(
    'has no serious finding at "%s"',
    async (hash) => {
      for (const colorScheme of ['light', 'dark'] as const) {
        const { page, problems } = await openPage(browser, `${service.url}/${hash}`, { colorScheme });
        await page.waitForSelector('h1');
        await page.waitForFunction(() => document.querySelector('.skeleton') === null);
        expect(await seriousFindings(page)).toEqual([]);
        for (const width of [360, 1280, 2560]) {
          await page.setViewportSize({ width, height: 800 });
          expect(
            await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
            `${width}`,
          ).toBeLessThanOrEqual(0);
        }
        expect(problems).toEqual([]);
        await page.close();
      }
    },
  );
});

describe('a service with keys', () => {
  it('asks for a key, explains a wrong one, and works with the right one', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'qalign-page-keys-'));
    const { createKeyStore } = await import('../../src/server/http/key-store.js');
    const { openServiceDatabase } = await import('../../src/server/service-database.js');
    const database = openServiceDatabase(dataDir);
    const key = createKeyStore(database).create('web', ['score']);
    database.close();
    const locked = await startService([], { dataDir, ...withoutPython });
    const { page } = await open('', locked.url);
    await page.getByRole('dialog').waitFor();
    await page.getByLabel('Key', { exact: true }).fill('qa_wrong');
    await page.getByRole('button', { name: 'Use key' }).click();
    await page.getByText('does not know this key').waitFor();
    await page.getByLabel('Key', { exact: true }).fill(key);
    await page.getByRole('button', { name: 'Use key' }).click();
    await page.getByText('Ready').waitFor();
    await page.close();
    await locked.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('has no page with page=false', async () => {
    const plain = await startService(['page=false'], withoutPython);
    expect((await fetch(`${plain.url}/`)).status).toBe(404);
    await plain.close();
  });
});
