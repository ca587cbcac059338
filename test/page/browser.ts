import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { chromium as driver, type Browser, type Page } from 'playwright-core';
import { chromium } from '../client/chromium.js';

/** @throws Error if this machine has no Chromium: the tests of the page must not be skipped */
export async function startBrowser(): Promise<Browser> {
  if (chromium === undefined)
    throw new Error('The tests of the page need Chromium on PATH (Debian: apt-get install chromium).');
  const { execFileSync } = await import('node:child_process');
  const executablePath = execFileSync('which', [chromium], { encoding: 'utf8' }).trim();
  return driver.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

export interface Watched {
  readonly page: Page;
  /** Console errors, exceptions, policy violations and requests to other hosts. */
  readonly problems: string[];
}

/** A page that records everything that must not happen. */
export async function openPage(browser: Browser, url: string, options: object = {}): Promise<Watched> {
  const page = await browser.newPage(options);
  const problems: string[] = [];
  page.on('console', (message) => {
    // Chromium reports every answer that is not 2xx; the tests cause some on purpose.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin) && !/^(blob|data):/.test(request.url()))
      problems.push(`a request to ${request.url()}`);
  });
  await page.goto(url);
  return { page, problems };
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Serious and critical findings of axe. Under the policy of the page axe runs by `evaluate`, not as a script tag. */
export async function seriousFindings(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await axe.run();
    return violations
      .filter(({ impact }) => ['serious', 'critical'].includes(impact))
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`);
  });
}
