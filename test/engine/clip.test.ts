import { describe, expect, it } from 'vitest';
import type { WorkerLink } from '../../bridge/client.js';
import { QalignError } from '../../src/base/errors.js';
import { scoreClip, type ClipSource } from '../../src/engine/clip.js';
import { LatencyModel } from '../../src/engine/latency.js';
import { Pool } from '../../src/engine/pool.js';
import type { Visual } from '../../src/engine/queue.js';
import type { Slot } from '../../src/engine/slot.js';

const MOST = 4;
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));

interface Sent {
  readonly worker: string;
  readonly method: string;
  readonly params: {
    clip?: string;
    first?: number;
    buffers?: { shape: number[] }[];
    items?: {
      id: string;
      visuals: { clip?: string; first?: number; frames: number }[];
      prompts: { text: string; frames?: number[] }[];
    }[];
  };
  readonly bytes: number[];
}

/** Workers that keep the first byte of every frame; `fate` can fail a message or end its worker. */
class FakeWorkers {
  readonly sent: Sent[] = [];
  readonly kept = new Map<string, Map<string, number[]>>();
  readonly pool = new Pool(MOST, () => {});
  fate: (sent: Sent) => Error | 'die' | undefined = () => undefined;
  #alive = new Map<string, WorkerLink>();

  constructor(readonly names: readonly string[]) {
    for (const name of names) this.pool.slots.push(this.#slot(name));
  }

  /** The slot gets another worker at once, as after a restart. */
  kill(name: string): void {
    const slot = this.pool.slots.find((one) => one.device === name) as Slot;
    this.kept.delete(name);
    slot.link = this.#link(name);
    this.pool.pump();
  }

  methods(): string {
    return this.sent.map(({ worker, method }) => `${worker}:${method}`).join(' ');
  }

  #slot(device: string): Slot {
    return {
      device,
      link: this.#link(device),
      latency: new LatencyModel(),
      inFlight: 0,
      sentAt: [],
      failed: () => {},
      framesInFlight: 0,
      freeSince: 0,
      restarts: 0,
      exclusive: false,
      dead: undefined,
      succeeded: () => {},
      close: async () => {},
    } as unknown as Slot;
  }

  #link(name: string): WorkerLink {
    const link = {
      credits: 2,
      quiet: false,
      request: async (method: string, params: Sent['params'], options: { buffers?: Uint8Array[] }) => {
        link.credits--;
        const sent = {
          worker: name,
          method,
          params,
          bytes: (options.buffers ?? []).flatMap((data) => firstBytes(data)),
        };
        this.sent.push(sent);
        await turn();
        link.credits++;
        const lost = new QalignError('WORKER_LOST', 'gone.');
        if (this.#alive.get(name) !== link) throw lost;
        const fate = this.fate(sent);
        if (fate === 'die') {
          this.kill(name);
          throw lost;
        }
        if (fate !== undefined) throw fate;
        return this.#answer(sent);
      },
    };
    this.#alive.set(name, link as unknown as WorkerLink);
    return link as unknown as WorkerLink;
  }

  #answer({ worker, method, params, bytes }: Sent): object {
    const clips = this.kept.get(worker) ?? new Map<string, number[]>();
    this.kept.set(worker, clips);
    const timings = { compute_ms: 1 };
    if (method === 'release') return (clips.delete(params.clip as string), { clips: clips.size, bytes: 0 });
    if (method === 'encode') {
      const before = params.first === 0 ? [] : (clips.get(params.clip as string) ?? []);
      if (before.length !== params.first) throw new QalignError('CLIP_UNKNOWN', 'not kept.');
      clips.set(params.clip as string, [...before, ...bytes]);
      return { frames: before.length + bytes.length, timings };
    }
    const items = (params.items ?? []).map(({ id, visuals: [visual], prompts }) => {
      const kept =
        visual?.clip === undefined
          ? bytes
          : (clips.get(visual.clip) ?? []).slice(visual.first, (visual.first ?? 0) + visual.frames);
      const found = prompts.map(({ frames = [0, kept.length] }) => kept.slice(frames[0], frames[1]));
      return { id, prompts: found.map((logits) => ({ logits, log_sum_exp: 0, positions: 1 })) };
    });
    return { items, timings };
  }
}

const firstBytes = (data: Uint8Array): number[] =>
  Array.from({ length: data.length / 3 }, (_, at) => data[at * 3] ?? 0);

/** A clip of numbered one-pixel frames that counts how often it was started, left and read ahead. */
function clipOf(frames: number, { delivered = frames, wait = turn, failAt = Infinity } = {}) {
  const seen = { begun: 0, left: 0, chunks: 0 };
  const source: ClipSource = {
    frames,
    prompts: ['p'],
    async *chunks(most): AsyncGenerator<Visual> {
      seen.begun++;
      try {
        for (let at = 0; at < delivered; at += most) {
          await wait();
          if (at >= failAt) throw new QalignError('MEDIA_CORRUPT', 'torn.');
          seen.chunks++;
          const count = Math.min(most, delivered - at);
          yield { frames: count, data: Uint8Array.from({ length: count * 3 }, (_, i) => at + Math.floor(i / 3)) };
        }
      } finally {
        seen.left++;
      }
    },
  };
  return { source, seen };
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const keptClips = ({ kept }: FakeWorkers): number => [...kept.values()].reduce((sum, clips) => sum + clips.size, 0);
const picture = { visuals: [{ frames: 1, data: new Uint8Array(3) }], prompts: ['p'] };

describe('a clip', () => {
  it('that fits in a batch is sent whole, with others', async () => {
    const workers = new FakeWorkers(['a']);
    const { source } = clipOf(MOST);
    await scoreClip(workers.pool, source);
    expect(workers.methods()).toBe('a:score');
    expect(workers.sent[0]).toMatchObject({
      params: { items: [{ visuals: [{ frames: MOST }] }] },
      bytes: [0, 1, 2, 3],
    });
  });

  it('that does not fit is sent in chunks to one worker, scored over all its frames and released', async () => {
    const workers = new FakeWorkers(['a', 'b']);
    const { source } = clipOf(10);
    const [answer] = await scoreClip(workers.pool, source);
    expect(answer?.logits).toEqual(numbers(10));
    await turn();
    await turn();
    const [name] = workers.methods();
    expect(workers.methods()).toBe(
      ['encode', 'encode', 'encode', 'score', 'release'].map((m) => `${name}:${m}`).join(' '),
    );
    expect(workers.sent.map(({ params }) => params.first)).toEqual([0, 4, 8, undefined, undefined]);
    expect(keptClips(workers)).toBe(0);
    expect(workers.pool.stats()).toMatchObject({ items: 1, frames: 10, running: 0, queued: 0 });
  });

  it('is scored over the frames that arrived', async () => {
    const workers = new FakeWorkers(['a']);
    const [answer] = await scoreClip(workers.pool, clipOf(20, { delivered: 6 }).source);
    expect(answer?.logits).toEqual(numbers(6));
  });

  it.each([MOST, 10])('with %i frames is asked about parts of it, which are not sent again', async (frames) => {
    const workers = new FakeWorkers(['a']);
    const expected = numbers(frames - 1);
    const { source } = clipOf(frames, { delivered: frames - 1 }); // the count of the reader decides
    const framePrompts = (count: number) =>
      numbers(count).map((at) => ({ text: 'f', frames: [at, at + 1] as [number, number] }));
    const answers = await scoreClip(workers.pool, { ...source, framePrompts });
    expect(answers.map(({ logits }) => logits)).toEqual([expected, ...expected.map((at) => [at])]);
    // every frame is sent and encoded once; the clip's own prompt is alone in its message
    const encoded = workers.sent.filter(({ method }) => method === 'encode');
    expect(encoded.flatMap(({ bytes }) => bytes)).toEqual(expected);
    const asked = workers.sent.flatMap(({ params: { items = [] } }) => items);
    expect(asked[0]).toMatchObject({ visuals: [{ first: 0, frames: frames - 1 }], prompts: [{ text: 'p' }] });
    expect(
      asked.slice(1).map(({ visuals: [visual], prompts }) => [visual?.first, visual?.frames, prompts.length]),
    ).toEqual(
      frames === 10
        ? [
            [0, 4, 4],
            [4, 4, 4],
            [8, 1, 1],
          ]
        : [[0, 3, 3]],
    );
    expect(workers.pool.stats().items).toBe(1);
    await turn();
    await turn();
    expect(keptClips(workers)).toBe(0);
  });

  it('sends overlapping windows in small messages, and one that is longer than a batch alone', async () => {
    const workers = new FakeWorkers(['a']);
    const windows = (size: number) => (count: number) =>
      numbers(count - size + 1).map((at) => ({ text: 'w', frames: [at, at + size] as [number, number] }));
    for (const size of [2, 6]) {
      const answers = await scoreClip(workers.pool, { ...clipOf(10).source, framePrompts: windows(size) });
      const from = numbers(11 - size);
      expect(answers.slice(1).map(({ logits }) => logits)).toEqual(from.map((at) => numbers(size).map((i) => at + i)));
    }
    const asked = workers.sent.flatMap(({ params: { items = [] } }) => items);
    const most = Math.max(...asked.map(({ prompts }) => prompts.length));
    expect(most).toBe(2);
    expect(
      Math.max(
        ...asked
          .slice(1)
          .map(({ visuals: [visual] }) => visual?.frames ?? 0)
          .filter((n) => n < 10),
      ),
    ).toBe(6);
  });

  it('starts again if its worker is lost between two messages of its frames', async () => {
    const workers = new FakeWorkers(['a']);
    let struck = false;
    workers.fate = ({ params }) => {
      if (struck || params.items?.[0]?.visuals[0]?.first !== 4) return undefined;
      struck = true;
      return 'die';
    };
    const framePrompts = (count: number) =>
      numbers(count).map((at) => ({ text: 'f', frames: [at, at + 1] as [number, number] }));
    const { source, seen } = clipOf(10);
    const answers = await scoreClip(workers.pool, { ...source, framePrompts });
    expect(answers.map(({ logits }) => logits)).toEqual([numbers(10), ...numbers(10).map((at) => [at])]);
    expect(seen.begun).toBe(2);
  });

  it('is read at most one chunk ahead of the worker', async () => {
    const workers = new FakeWorkers(['a']);
    const { source, seen } = clipOf(400, { wait: async () => {} });
    let ahead = 0;
    workers.fate = ({ method, params }) => {
      if (method === 'encode') ahead = Math.max(ahead, seen.chunks - (params.first as number) / MOST);
      return undefined;
    };
    await scoreClip(workers.pool, source);
    expect(ahead).toBe(2);
  });

  it('blocks neither interactive nor later bulk items, nor another worker', async () => {
    const workers = new FakeWorkers(['a']);
    const clip = scoreClip(workers.pool, clipOf(80).source);
    await turn();
    await turn();
    const others = ['interactive', 'bulk'].map((lane) =>
      workers.pool.submit(picture, { lane: lane as 'interactive' | 'bulk' }),
    );
    await Promise.all(others);
    expect(workers.sent.filter(({ method }) => method === 'encode').length).toBeLessThan(12);
    await clip;
    const two = new FakeWorkers(['a', 'b']);
    const long = [scoreClip(two.pool, clipOf(40).source), scoreClip(two.pool, clipOf(40).source)];
    for (const [answer] of await Promise.all(long)) expect(answer?.logits).toEqual(numbers(40));
    const encoded = two.sent.filter(({ method }) => method === 'encode');
    const owners = [...new Set(encoded.map(({ params }) => params.clip))].map((id) => [
      ...new Set(encoded.filter(({ params }) => params.clip === id).map(({ worker }) => worker)),
    ]);
    expect(owners.map((names) => names.length)).toEqual([1, 1]);
    expect(new Set(owners.flat()).size).toBe(2);
  });
});

describe('a clip whose worker dies', () => {
  it('is read again from its beginning, once', async () => {
    const workers = new FakeWorkers(['a', 'b']);
    let deaths = 0;
    workers.fate = ({ method, params }) =>
      method === 'encode' && params.first === 8 && deaths++ === 0 ? 'die' : undefined;
    const { source, seen } = clipOf(16);
    const [answer] = await scoreClip(workers.pool, source);
    expect(answer?.logits).toEqual(numbers(16));
    expect(seen.begun).toBe(2);
  });

  it.each(['encode', 'score'])('twice in %s is WORKER_LOST and no score of a part', async (deadly) => {
    const workers = new FakeWorkers(['a', 'b']);
    workers.fate = ({ method, params }) => (method === deadly && params.first !== 0 ? 'die' : undefined);
    const { source, seen } = clipOf(16);
    await expect(scoreClip(workers.pool, source)).rejects.toMatchObject({ code: 'WORKER_LOST' });
    await expect.poll(() => seen).toMatchObject({ begun: 2, left: 2 });
    expect(workers.pool.stats()).toMatchObject({ queued: 0, running: 0 });
  });

  it('during decoding or another batch, restarts the clip without counting a fault', async () => {
    const workers = new FakeWorkers(['a']);
    let waits = 0;
    const wait = async (): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 10)); // the worker has answered all requests
      if (++waits === 3) workers.kill('a');
    };
    const { source, seen } = clipOf(24, { wait });
    const clip = scoreClip(workers.pool, source);
    const [answer] = await clip;
    expect(answer?.logits).toEqual(numbers(24));
    expect(seen.begun).toBe(2);
  });

  it('fails after repeated losses', async () => {
    const workers = new FakeWorkers(['a']);
    workers.fate = ({ method }) => (method === 'score' ? new QalignError('CLIP_UNKNOWN', 'dropped.') : undefined);
    const { source, seen } = clipOf(8);
    await expect(scoreClip(workers.pool, source)).rejects.toMatchObject({ code: 'WORKER_LOST' });
    expect(seen.begun).toBe(3);
  });
});

describe('what ends a clip', () => {
  it('an abort, which leaves no frames at the worker and no reader', async () => {
    const workers = new FakeWorkers(['a']);
    const stop = new AbortController();
    const { source, seen } = clipOf(400);
    const clip = scoreClip(workers.pool, source, { signal: stop.signal });
    await expect.poll(() => workers.sent.length).toBeGreaterThan(3);
    stop.abort();
    await expect(clip).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect.poll(() => workers.sent.at(-1)?.method).toBe('release');
    await expect.poll(() => [keptClips(workers), seen.left]).toEqual([0, 1]);
    expect(workers.methods()).not.toContain('score');
  });

  it('an error of its reader', async () => {
    const workers = new FakeWorkers(['a']);
    await expect(scoreClip(workers.pool, clipOf(40, { failAt: 20 }).source)).rejects.toMatchObject({
      code: 'MEDIA_CORRUPT',
    });
    await expect.poll(() => [keptClips(workers), workers.sent.at(-1)?.method]).toEqual([0, 'release']);
    expect(workers.methods()).not.toContain('score');
  });

  it('a chunk without memory is sent in halves; one frame without memory is OUT_OF_MEMORY', async () => {
    const workers = new FakeWorkers(['a']);
    const limit = { frames: 1 };
    workers.fate = ({ method, bytes }) =>
      method === 'encode' && bytes.length > limit.frames ? new QalignError('OUT_OF_MEMORY', 'full.') : undefined;
    const [answer] = await scoreClip(workers.pool, clipOf(7).source);
    expect(answer?.logits).toEqual(numbers(7));
    limit.frames = 0;
    await expect(scoreClip(workers.pool, clipOf(7).source)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
    await expect.poll(() => keptClips(workers)).toBe(0);
  });

  it('the end of the engine', async () => {
    const workers = new FakeWorkers(['a']);
    const { source, seen } = clipOf(400);
    const clip = scoreClip(workers.pool, source);
    await expect.poll(() => workers.sent.length).toBeGreaterThan(3);
    await workers.pool.close();
    await expect(clip).rejects.toMatchObject({ code: 'BRIDGE_CLOSED' });
    await expect.poll(() => seen.left).toBe(1);
  });
});
