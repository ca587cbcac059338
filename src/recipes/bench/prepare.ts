import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { QalignError } from '../../base/errors.js';
import { makeBenchPictures } from '../../media/bench-pictures.js';
import { createPreparePool } from '../../media/prepare-pool.js';
import { median } from '../../scoring/statistics/descriptive.js';
import { PAD_COLOUR } from '../../media/preprocessing.js';

export interface BenchPrepareConfig {
  /** Python interpreter with Pillow, for the other side of the comparison. */
  readonly python: string;
  /** JPEG files to prepare; default: generated pictures of 1024 × 768. */
  readonly files?: readonly string[];
  /** Side of the prepared square in pixels; default 448. */
  readonly size?: number;
  /** Number of measured passes per side, alternating; default 9. */
  readonly rounds?: number;
  /** Threads of the pool that is measured afterwards; default: one per core. */
  readonly threads?: number;
  readonly signal?: AbortSignal;
}

/** Result of the benchmark, part of the JSON of `qalign bench`. */
export interface BenchPrepareResult {
  readonly pictures: number;
  readonly size: number;
  readonly rounds: number;
  readonly pillow_version: string;
  /** Whether both sides were pinned to one core; false without `taskset`. */
  readonly one_core: boolean;
  readonly qalign_images_per_second: number;
  readonly pillow_images_per_second: number;
  /** Median over the rounds of Pillow's time divided by qalign's time. */
  readonly speedup: number;
  /** Whether both sides produced the same bytes. */
  readonly identical: boolean;
  readonly pool: { readonly threads: number; readonly images_per_second: number };
  readonly rss_mb: number;
}

interface Pass {
  readonly ms: number;
  readonly sha256: string;
}

interface Side {
  pass(): Promise<Pass>;
  stop(): void;
}

/**
 * The preprocessing of the reference (docs/mplug-owl2.md#image-preprocessing) with the protocol of prepare-child.ts.
 */
const PILLOW_SIDE = `
import hashlib, json, sys, time
from PIL import Image
work = json.loads(sys.stdin.readline())
def prepare(path):
    picture = Image.open(path).convert('RGB')
    width, height = picture.size
    if width != height:
        side = max(width, height)
        square = Image.new('RGB', (side, side), (${PAD_COLOUR.join(', ')}))
        square.paste(picture, ((side - width) // 2, (side - height) // 2))
        picture = square
    return picture.resize((work['size'], work['size']), Image.Resampling.BICUBIC).tobytes()
for line in sys.stdin:
    start = time.perf_counter()
    pictures = [prepare(path) for path in work['files']]
    ms = (time.perf_counter() - start) * 1000
    print(json.dumps({'ms': ms, 'sha256': hashlib.sha256(b''.join(pictures)).hexdigest()}), flush=True)
`;

function pillowVersion(python: string): string {
  const probe = spawnSync(python, ['-c', 'import PIL; print(PIL.__version__)'], { encoding: 'utf8' });
  if (probe.error !== undefined) {
    throw new QalignError(
      'PYTHON_NOT_FOUND',
      `${JSON.stringify(python)} cannot be started (${probe.error.message}); set QALIGN_PYTHON to a Python with Pillow.`,
    );
  }
  if (probe.status !== 0) {
    throw new QalignError(
      'PYTHON_NOT_FOUND',
      `${JSON.stringify(python)} does not have Pillow; run "${python} -m pip install pillow".`,
    );
  }
  return probe.stdout.trim();
}

/** Number of the last core that this process can use; undefined without `taskset`. */
function chooseCore(): string | undefined {
  const shown = spawnSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' });
  if (shown.error !== undefined || shown.status !== 0) return undefined;
  return /(\d+)\s*$/.exec(shown.stdout)?.[1];
}

function nodeCommand(): string[] {
  const compiled = fileURLToPath(new URL('./prepare-child.js', import.meta.url));
  if (existsSync(compiled)) return [process.execPath, compiled];
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return [process.execPath, '--import', tsx, fileURLToPath(new URL('./prepare-child.ts', import.meta.url))];
}

function startSide(command: readonly string[], core: string | undefined, work: object): Side {
  const [program = '', ...args] = core === undefined ? command : ['taskset', '-c', core, ...command];
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  // a side that exits ends its answers; writing to it must not throw before that is read
  child.stdin.on('error', () => {});
  child.on('error', () => {});
  child.stdin.write(`${JSON.stringify(work)}\n`);
  return {
    pass: async () => {
      child.stdin.write('go\n');
      const answer = await answers.next();
      if (answer.done === true)
        throw new QalignError(
          'CONFIG_INVALID',
          `${JSON.stringify(program)} exited during the benchmark; see its output above.`,
        );
      return JSON.parse(answer.value) as Pass;
    },
    stop: () => {
      child.stdin.end();
      child.kill();
    },
  };
}

async function compare(
  sides: readonly [Side, Side],
  rounds: number,
  signal: AbortSignal | undefined,
): Promise<[Pass, Pass][]> {
  const passes: [Pass, Pass][] = [];
  // two warm-up passes for the JIT and the page cache
  for (let round = -2; round < rounds; round++) {
    signal?.throwIfAborted();
    const pair: [Pass, Pass] = [await sides[0].pass(), await sides[1].pass()];
    if (round >= 0) passes.push(pair);
  }
  return passes;
}

async function measurePool(
  files: readonly string[],
  size: number,
  threads: number | undefined,
): Promise<{ threads: number; images_per_second: number }> {
  await using pool = createPreparePool(threads === undefined ? {} : { threads });
  const pass = () => Promise.all(files.map((file) => pool.prepareImage(file, { size })));
  await pass();
  const start = performance.now();
  for (let i = 0; i < 3; i++) await pass();
  return { threads: pool.threads, images_per_second: (files.length * 3000) / (performance.now() - start) };
}

/**
 * Decodes and prepares the same JPEG files with qalign and with Pillow, alternating, both on the same core.
 *
 * @throws QalignError PYTHON_NOT_FOUND if `python` cannot be started or does not have Pillow
 */
export async function benchPrepare(config: BenchPrepareConfig): Promise<BenchPrepareResult> {
  const { python, size = 448, rounds = 9, signal } = config;
  const pillow = pillowVersion(python);
  const core = chooseCore();
  const folder = await mkdtemp(join(tmpdir(), 'qalign-bench-'));
  const sides: Side[] = [];
  try {
    const made = config.files === undefined ? await makeBenchPictures(16) : [];
    const files = config.files ?? made.map((_, i) => join(folder, `${i}.jpg`));
    await Promise.all(made.map((bytes, i) => writeFile(join(folder, `${i}.jpg`), bytes)));
    const ours = startSide(nodeCommand(), core, { files, size });
    const theirs = startSide([python, '-c', PILLOW_SIDE], core, { files, size });
    sides.push(ours, theirs);
    const passes = await compare([ours, theirs], rounds, signal);
    for (const side of sides.splice(0)) side.stop();
    const rate = (which: 0 | 1): number =>
      (files.length * 1000) / (median(passes.map((pair) => pair[which].ms)) ?? NaN);
    return {
      pictures: files.length,
      size,
      rounds,
      pillow_version: pillow,
      one_core: core !== undefined,
      qalign_images_per_second: rate(0),
      pillow_images_per_second: rate(1),
      speedup: median(passes.map(([a, b]) => b.ms / a.ms)) ?? NaN,
      identical: passes.every(([a, b]) => a.sha256 === b.sha256),
      pool: await measurePool(files, size, config.threads),
      rss_mb: process.memoryUsage.rss() / 2 ** 20,
    };
  } finally {
    for (const side of sides) side.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
