import { setTimeout as sleep } from 'node:timers/promises';
import { createSender, type Sender } from './sender.js';

/** A request that is sent many times. It is built once, so that sending it costs as little as possible. */
export interface Shot {
  readonly items: number;
  /** Deadline that the request states. */
  readonly timeoutMs: number;
  /** Head and body as sent over the wire. */
  readonly bytes: Buffer;
}

export interface LoadResult {
  readonly seconds: number;
  readonly sent: number;
  /** Requests that were neither refused nor cut off. */
  readonly admitted: number;
  /** Admitted requests with status 200. */
  readonly answered: number;
  /** Admitted requests with status 504, DEADLINE_EXCEEDED. */
  readonly late: number;
  readonly late_share: number;
  /** Answered requests that missed their deadline on the client's clock, which includes the wait for a connection. */
  readonly overdue: number;
  /** Requests with status 429. */
  readonly refused: number;
  /** Requests that were not sent because too many others waited for an answer. */
  readonly withheld: number;
  /** Delay of the sender against its plan. While it is small, the measured times are those of the service. */
  readonly sent_late_p99_ms: number;
  readonly by_status: Readonly<Record<string, number>>;
  readonly items_per_second: number;
  /** Latency of answered requests. */
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly late_p50_ms: number | null;
  readonly late_p99_ms: number | null;
  /** Latency of refused requests. */
  readonly refused_p50_ms: number | null;
  readonly refused_p99_ms: number | null;
  readonly retry_after_on_429: boolean;
  readonly retry_after_p50_s: number | null;
}

/** Pictures as a multipart form, like `curl -F file=@…` sends them. */
export function shotOf(
  pictures: readonly { readonly name: string; readonly data: Uint8Array }[],
  timeoutMs: number,
): Shot {
  const boundary = 'qalign-bench-7c1d';
  const field = `--${boundary}\r\nContent-Disposition: form-data; name="timeout_ms"\r\n\r\n${timeoutMs}\r\n`;
  const files = pictures.flatMap(({ name, data }) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name.replaceAll(/[^\w.-]/g, '_')}"\r\n\r\n`,
    ),
    Buffer.from(data),
    Buffer.from('\r\n'),
  ]);
  const body = Buffer.concat([Buffer.from(field), ...files, Buffer.from(`--${boundary}--\r\n`)]);
  const head = `POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: ${body.length}\r\n\r\n`;
  return { items: pictures.length, timeoutMs, bytes: Buffer.concat([Buffer.from(head), body]) };
}

interface Tally {
  sent: number;
  items: number;
  withheld: number;
  readonly statuses: Map<string, number>;
  /**
   * Latencies of answers with 200, of which `overdue` missed the deadline; of answers with 504; of answers with 429.
   */
  readonly answered: number[];
  overdue: number;
  readonly expired: number[];
  readonly refused: number[];
  /** Retry-After of each 429, NaN where the header is missing. */
  readonly retryAfterS: number[];
  readonly sentLate: number[];
}

/** True once `seconds` have passed since the call. */
export function forSeconds(seconds: number): () => boolean {
  const end = performance.now() + seconds * 1000;
  return () => performance.now() >= end;
}

/**
 * Closed loop of `width` clients until `until` returns true. A client sends again after its answer. A refused client
 * first waits for Retry-After.
 */
export async function closedLoop(
  url: string,
  shots: readonly Shot[],
  width: number,
  until: (sent: number) => boolean,
): Promise<LoadResult> {
  const sender = createSender(url);
  const tally = emptyTally();
  const started = performance.now();
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (!until(tally.sent)) {
        const waitS = await send(sender, shots[tally.sent % shots.length] as Shot, tally);
        if (waitS > 0) await sleep(waitS * 1000);
      }
    }),
  );
  sender.close();
  return summarise(tally, started);
}

export interface OpenLoopOptions {
  readonly seconds: number;
  /** Maximum number of open requests. It is below the number of connections that a service accepts from one address. */
  readonly mostOpen?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Open loop: sends requests at a fixed rate, independent of the answers, then waits for open requests. */
export async function openLoop(
  url: string,
  shots: readonly Shot[],
  perSecond: number,
  { seconds, mostOpen = 1000, signal }: OpenLoopOptions,
): Promise<LoadResult> {
  const sender = createSender(url);
  const tally = emptyTally();
  const open = new Set<Promise<unknown>>();
  const started = performance.now();
  for (let due = 0; performance.now() - started < seconds * 1000;) {
    signal?.throwIfAborted();
    const elapsed = performance.now() - started;
    for (; (due * 1000) / perSecond <= elapsed; due++) {
      if (open.size >= mostOpen) {
        tally.withheld++;
        continue;
      }
      tally.sentLate.push(performance.now() - started - (due * 1000) / perSecond);
      const one = send(sender, shots[due % shots.length] as Shot, tally).finally(() => open.delete(one));
      open.add(one);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const asked = performance.now();
  await Promise.all(open);
  sender.close();
  return summarise(tally, started, asked);
}

/** Returns the Retry-After of a refused request in seconds, 0 for other answers. */
async function send(sender: Sender, { bytes, items, timeoutMs }: Shot, tally: Tally): Promise<number> {
  tally.sent++;
  const started = performance.now();
  const count = (status: string): void => void tally.statuses.set(status, (tally.statuses.get(status) ?? 0) + 1);
  try {
    const { status, retryAfterS } = await sender.send(bytes);
    const ms = performance.now() - started;
    count(String(status));
    if (status === 200) {
      tally.items += items;
      tally.answered.push(ms);
      if (ms > timeoutMs) tally.overdue++;
    }
    if (status === 504) tally.expired.push(ms);
    if (status === 429) {
      tally.refused.push(ms);
      tally.retryAfterS.push(retryAfterS);
    }
    return retryAfterS || 0;
  } catch (error) {
    count((error as NodeJS.ErrnoException).code ?? 'broken');
    return 0;
  }
}

const emptyTally = (): Tally => ({
  sent: 0,
  items: 0,
  withheld: 0,
  statuses: new Map(),
  answered: [],
  overdue: 0,
  expired: [],
  refused: [],
  retryAfterS: [],
  sentLate: [],
});

function summarise(tally: Tally, started: number, asked = performance.now()): LoadResult {
  const seconds = (performance.now() - started) / 1000;
  const known = (times: number[], share: number): number | null => (times.length === 0 ? null : at(times, share));
  const admitted = tally.answered.length + tally.expired.length;
  const late = tally.expired.length;
  return {
    seconds: (asked - started) / 1000,
    sent: tally.sent,
    admitted,
    answered: tally.answered.length,
    late,
    overdue: tally.overdue,
    late_share: admitted === 0 ? 0 : late / admitted,
    refused: tally.refused.length,
    withheld: tally.withheld,
    sent_late_p99_ms: at(tally.sentLate, 0.99),
    by_status: Object.fromEntries([...tally.statuses].sort()),
    items_per_second: tally.items / seconds,
    p50_ms: at(tally.answered, 0.5),
    p99_ms: at(tally.answered, 0.99),
    late_p50_ms: known(tally.expired, 0.5),
    late_p99_ms: known(tally.expired, 0.99),
    refused_p50_ms: known(tally.refused, 0.5),
    refused_p99_ms: known(tally.refused, 0.99),
    retry_after_on_429: !tally.retryAfterS.some(Number.isNaN),
    retry_after_p50_s: known(tally.retryAfterS, 0.5),
  };
}

const at = (times: number[], share: number): number =>
  times.sort((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
