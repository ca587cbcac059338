import { createSender, type Sender } from './sender.js';

/** A request that is sent again and again: made once, so that sending costs as little as it can. */
export interface Shot {
  readonly items: number;
  /** Head and body, as they go over the wire. */
  readonly bytes: Buffer;
}

export interface LoadResult {
  readonly seconds: number;
  readonly sent: number;
  /** Not sent, because too many of them waited for an answer already. */
  readonly withheld: number;
  /** How much later than planned the sender sent: while it is small, times are those of the service. */
  readonly sent_late_p99_ms: number;
  readonly by_status: Readonly<Record<string, number>>;
  readonly items_per_second: number;
  /** Of answered ones. */
  readonly p50_ms: number;
  readonly p99_ms: number;
  /** Of refused ones (429): how soon they are told. */
  readonly refused_p50_ms: number | null;
  readonly retry_after_on_429: boolean;
}

/** Pictures as a form, as `curl -F file=@…` sends them. */
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
  return { items: pictures.length, bytes: Buffer.concat([Buffer.from(head), body]) };
}

interface Tally {
  sent: number;
  items: number;
  withheld: number;
  readonly statuses: Map<string, number>;
  readonly answered: number[];
  readonly refused: number[];
  readonly late: number[];
  allSayWhen: boolean;
}

/** `width` clients, each of which sends when it has its answer, until `until` says that it is enough. */
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
      while (!until(tally.sent)) await send(sender, shots[tally.sent % shots.length] as Shot, tally);
    }),
  );
  sender.close();
  return summarise(tally, started);
}

/** So many requests a second, whatever is answered, for so long; then waits for what is open. */
export async function openLoop(
  url: string,
  shots: readonly Shot[],
  perSecond: number,
  seconds: number,
  mostOpen = 1500,
): Promise<LoadResult> {
  const sender = createSender(url);
  const tally = emptyTally();
  const open = new Set<Promise<void>>();
  const started = performance.now();
  for (let due = 0; performance.now() - started < seconds * 1000;) {
    const elapsed = performance.now() - started;
    for (; (due * 1000) / perSecond <= elapsed; due++) {
      if (open.size >= mostOpen) {
        tally.withheld++;
        continue;
      }
      tally.late.push(performance.now() - started - (due * 1000) / perSecond);
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

async function send(sender: Sender, { bytes, items }: Shot, tally: Tally): Promise<void> {
  tally.sent++;
  const started = performance.now();
  const count = (status: string): void => void tally.statuses.set(status, (tally.statuses.get(status) ?? 0) + 1);
  try {
    const { status, saysWhen } = await sender.send(bytes);
    const ms = performance.now() - started;
    count(String(status));
    if (status === 200) {
      tally.items += items;
      tally.answered.push(ms);
    }
    if (status === 429) {
      tally.refused.push(ms);
      tally.allSayWhen &&= saysWhen;
    }
  } catch (error) {
    count((error as NodeJS.ErrnoException).code ?? 'broken');
  }
}

const emptyTally = (): Tally => ({
  sent: 0,
  items: 0,
  withheld: 0,
  statuses: new Map(),
  answered: [],
  refused: [],
  late: [],
  allSayWhen: true,
});

function summarise(tally: Tally, started: number, asked = performance.now()): LoadResult {
  const seconds = (performance.now() - started) / 1000;
  const at = (times: number[], share: number): number =>
    times.sort((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return {
    seconds: (asked - started) / 1000,
    sent: tally.sent,
    withheld: tally.withheld,
    sent_late_p99_ms: at(tally.late, 0.99),
    by_status: Object.fromEntries([...tally.statuses].sort()),
    items_per_second: tally.items / seconds,
    p50_ms: at(tally.answered, 0.5),
    p99_ms: at(tally.answered, 0.99),
    refused_p50_ms: tally.refused.length === 0 ? null : at(tally.refused, 0.5),
    retry_after_on_429: tally.allSayWhen,
  };
}
