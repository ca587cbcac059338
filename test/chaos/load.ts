/** Well-behaved clients that send interactive scores and jobs all the time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { noCounts, pick, settle, type Answer, type Counts } from './ledger.js';

export interface Load {
  readonly scores: Counts;
  readonly jobs: Counts;
  /** Waits for every accepted job and counts its items. */
  finish(limitMs: number): Promise<void>;
  stop(): Promise<void>;
}

interface Submitted {
  readonly id: string;
  readonly ids: readonly string[];
}

export function createLoad(url: string, known: ReadonlyMap<string, number>, random: () => number): Load {
  const scores = noCounts();
  const jobs = noCounts();
  const pictures = [...known.keys()];
  const submitted: Submitted[] = [];
  let stopped = false;
  let serial = 0;
  const makeItems = (count: number): { id: string; path: string }[] => {
    const group = serial++;
    return Array.from({ length: count }, (_, i) => {
      const path = pick(random, pictures);
      return { id: `${group}-${i}-${path}`, path };
    });
  };

  const scoreForever = async (): Promise<void> => {
    while (!stopped) {
      const items = makeItems(1 + Math.floor(random() * 4));
      const ids = items.map(({ id }) => id);
      const answer = await post(`${url}/v1/score`, { items, tasks: ['quality'], timeout_ms: 20_000 });
      if (answer === undefined) count(scores, 'cut', ids.length);
      else if (answer.status !== 200) count(scores, 'failed', ids.length);
      else settle(scores, ids, answersOf(answer.text), known);
      await sleep(answer?.status === 200 ? 20 : 300);
    }
  };
  const submitForever = async (): Promise<void> => {
    while (!stopped) {
      const items = makeItems(20 + Math.floor(random() * 80));
      const key = `chaos-${serial}`;
      for (let tries = 0; tries < 20 && !stopped; tries++) {
        const answer = await post(`${url}/v1/jobs`, { items, tasks: ['quality'] }, { 'idempotency-key': key });
        if (answer !== undefined && answer.status < 300) {
          submitted.push({ id: (JSON.parse(answer.text) as { id: string }).id, ids: items.map(({ id }) => id) });
          break;
        }
        await sleep(1000);
      }
      await sleep(3000 + random() * 5000);
    }
  };
  const running = [scoreForever(), scoreForever(), submitForever()];
  return {
    scores,
    jobs,
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
    async finish(limitMs) {
      const end = Date.now() + limitMs;
      for (const job of submitted) {
        while (Date.now() < end && !(await isOver(url, job.id))) await sleep(500);
        settle(jobs, job.ids, await results(url, job.id), known);
      }
    },
  };
}

function count(counts: Counts, what: 'cut' | 'failed', items: number): void {
  counts.asked += items;
  counts[what] += items;
}

/** The rows of a response of /v1/score. */
export const answersOf = (text: string): Answer[] =>
  (JSON.parse(text) as { items: { results: Answer[] }[] }).items.flatMap(({ results: rows }) => rows);

/** Undefined if the connection broke. */
export async function post(
  url: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; text: string } | undefined> {
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    });
    return { status: answer.status, text: await answer.text() };
  } catch {
    return undefined;
  }
}

async function isOver(url: string, id: string): Promise<boolean> {
  const job = await fetch(`${url}/v1/jobs/${id}`, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
  const { status } = ((await job?.json().catch(() => undefined)) ?? {}) as { status?: string };
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

/** Empty if the job is unknown or its results are not JSON lines: all its items then count as lost. */
async function results(url: string, id: string): Promise<Answer[]> {
  try {
    const text = await (await fetch(`${url}/v1/jobs/${id}/results`)).text();
    const lines = text.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Answer);
  } catch {
    return [];
  }
}
