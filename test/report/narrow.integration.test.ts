import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { figure } from '../../src/report/figure.js';
import { histogram } from '../../src/report/histogram.js';
import { heading, page, row, table } from '../../src/report/page.js';

const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);
// a missing browser is reported, not silently skipped
if (CHROMIUM === undefined) console.error('NOT RUN: pages at 390 pixels (no Chromium on PATH)');

/** Chromium's DevTools protocol over a pipe: JSON messages, each ended by a zero byte. */
function connect(child: ChildProcess): (method: string, params?: object, sessionId?: string) => Promise<unknown> {
  const [input, output] = [child.stdio[3] as Writable, child.stdio[4] as Readable];
  const waiting = new Map<number, (message: { result?: unknown; error?: unknown }) => void>();
  let [text, id] = ['', 0];
  output.on('data', (chunk: Buffer) => {
    const parts = (text + chunk.toString()).split('\0');
    text = parts.pop() ?? '';
    for (const part of parts) {
      const message = JSON.parse(part) as { id?: number; result?: unknown; error?: unknown };
      if (message.id !== undefined) waiting.get(message.id)?.(message);
    }
  });
  return (method, params = {}, sessionId) =>
    new Promise((resolve, reject) => {
      waiting.set(++id, ({ result, error }) =>
        error === undefined ? resolve(result) : reject(new Error(JSON.stringify(error))),
      );
      input.write(`${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`);
    });
}

let folder = '';
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'qalign-narrow-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.skipIf(CHROMIUM === undefined)('a page at 390 pixels', () => {
  it('does not overflow, and hides no column of its tables', { timeout: 120_000 }, async () => {
    const columns = Array.from({ length: 11 }, (_, i) => `a column ${i}`);
    const file = join(folder, 'page.html');
    const data = { name: 'x', head: ['a'], rows: [[1]] };
    const drawn = figure(histogram([1, 2, 2, 3], { xLabel: 'MOS (1–5)', yLabel: 'items' }), 'Scores.', data);
    await writeFile(
      file,
      page({
        title: `Evaluation: ${'a-very-long-name-'.repeat(12)}`,
        origin: {
          qalign: '0',
          commit: null,
          command: `qalign evaluate ${'x'.repeat(200)}`,
          links: ['evaluation.json'],
        },
        body: [
          heading(2, 'A'),
          table(columns, [columns.map(() => '0.8641\n[0.8361, 0.8876]')]),
          heading(2, 'B'),
          row(drawn, drawn),
        ].join('\n'),
      }),
    );
    const child = spawn(
      CHROMIUM!,
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--remote-debugging-pipe',
        `--user-data-dir=${join(folder, 'profile')}`,
      ],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
    );
    const ended = once(child, 'exit');
    try {
      const send = connect(child);
      const { targetId } = (await send('Target.createTarget', { url: 'about:blank' })) as { targetId: string };
      const { sessionId } = (await send('Target.attachToTarget', { targetId, flatten: true })) as { sessionId: string };
      await send(
        'Emulation.setDeviceMetricsOverride',
        { width: 390, height: 800, deviceScaleFactor: 1, mobile: true },
        sessionId,
      );
      await send('Page.navigate', { url: pathToFileURL(file).href }, sessionId);
      const expression = `new Promise((done) => {
        const look = () => document.readyState !== 'complete' || !document.querySelector('main') ? setTimeout(look, 20) : done({
          width: document.documentElement.scrollWidth,
          cells: [...document.querySelectorAll('td')].filter((cell) => cell.getBoundingClientRect().right > 390).length,
          small: [...document.querySelectorAll('nav a, .save a')].filter((link) => link.getBoundingClientRect().height < 36).length,
          svg: document.querySelector('svg').getBoundingClientRect().width,
        });
        look();
      })`;
      const { result } = (await send(
        'Runtime.evaluate',
        { expression, awaitPromise: true, returnByValue: true },
        sessionId,
      )) as {
        result: { value: unknown };
      };
      expect(result.value).toEqual({ width: 390, cells: 0, small: 0, svg: 362 });
    } finally {
      child.kill();
      await ended;
    }
  });
});
