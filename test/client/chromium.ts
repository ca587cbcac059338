import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];

/** The browser of this machine, if there is one. */
export const chromium = NAMES.find((name) => {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});

export interface Page {
  /** Runs the body of an async function in the page and gives what it returns, as JSON. */
  run<T>(body: string): Promise<T>;
}

export interface Browser {
  open(url: string): Promise<Page>;
  close(): Promise<void>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly error?: { readonly message: string };
  readonly result?: Record<string, unknown>;
}

/** A headless browser, driven by the DevTools protocol over a pipe: file descriptors 3 and 4, NUL between messages. */
export async function startBrowser(program: string): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'qalign-chromium-'));
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
  const child = spawn(program, [...flags, `--user-data-dir=${profile}`, '--remote-debugging-pipe', 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const input = child.stdio[3] as Writable;
  const waiting = new Map<number, (message: Message) => void>();
  const listeners = new Set<(message: Message) => void>();
  let rest = '';
  (child.stdio[4] as Readable).setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\0');
    rest = parts.pop() ?? '';
    for (const message of parts.map((part) => JSON.parse(part) as Message)) {
      if (message.id === undefined) listeners.forEach((listen) => listen(message));
      else waiting.get(message.id)?.(message);
    }
  });
  let last = 0;
  const ask = (method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, ({ error, result = {} }) => {
        waiting.delete(id);
        if (error === undefined) resolve(result);
        else reject(new Error(`${method}: ${error.message}`));
      });
      input.write(`${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`);
    });
  return {
    async open(url) {
      const { targetId } = await ask('Target.createTarget', { url: 'about:blank' });
      const { sessionId } = (await ask('Target.attachToTarget', { targetId, flatten: true })) as { sessionId: string };
      await ask('Page.enable', {}, sessionId);
      const loaded = new Promise<void>((resolve) =>
        listeners.add(({ method }) => method === 'Page.loadEventFired' && resolve()),
      );
      await ask('Page.navigate', { url }, sessionId);
      await loaded;
      return { run: (body) => evaluate(ask, sessionId, body) };
    },
    async close() {
      const ended = once(child, 'exit');
      await ask('Browser.close').catch(() => child.kill());
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function evaluate<T>(
  ask: (method: string, params: object, sessionId: string) => Promise<Record<string, unknown>>,
  sessionId: string,
  body: string,
): Promise<T> {
  const answer = (await ask(
    'Runtime.evaluate',
    { expression: `(async () => { ${body} })()`, awaitPromise: true, returnByValue: true },
    sessionId,
  )) as {
    result: { value: T };
    exceptionDetails?: { text: string; exception?: { description?: string } };
  };
  const failed = answer.exceptionDetails;
  if (failed !== undefined) throw new Error(failed.exception?.description ?? failed.text);
  return answer.result.value;
}
