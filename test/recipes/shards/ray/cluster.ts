import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { processes, until, worksBelow, type Process } from './processes.js';

const START_MS = 180_000;

/** Two nodes of Ray on this host, with one CPU each. */
export interface Cluster {
  /** The dashboard. */
  readonly url: string;
  readonly token: string;
  /** The raylet of the second node. */
  readonly raylet: () => Process;
  /** Actors of shards, drivers of jobs, and shard workers. */
  readonly actors: () => Process[];
  readonly drivers: () => Process[];
  readonly workers: () => Process[];
  /** Kills everything. Returns what was still there afterwards. */
  readonly close: () => Promise<Process[]>;
}

/** Ports that are free now, below those that the kernel gives to programs that ask for any. */
async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, () => resolve(true));
    });
    if (!isFree) continue;
    await once(server.close(), 'close');
    found.add(port);
  }
  return [...found];
}

/**
 * Starts the nodes, with ports that are free now. Below `folder` are the files of Ray; its path must be short, because
 * the paths of sockets are limited.
 * @param programs folder of `ray` and `python` @param bin folder of the command `qalign` of the nodes
 */
export async function startCluster(
  folder: string,
  programs: string,
  bin: string,
  env: Readonly<Record<string, string>>,
): Promise<Cluster> {
  const token = 'token-of-the-test';
  const [gcs, dashboard, client, ...agents] = (await freePorts(11)) as [number, number, number, ...number[]];
  const nodes: ChildProcess[] = [];
  let output = '';
  const start = (args: readonly string[], ports: readonly number[]): void => {
    const run = 'import sys; from ray.scripts.scripts import main; sys.argv[0] = "ray"; main()';
    const names = [
      'dashboard-agent-listen-port',
      'dashboard-agent-grpc-port',
      'runtime-env-agent-port',
      'metrics-export-port',
    ];
    const child = spawn(
      join(programs, 'python'),
      [
        ...['-c', run, 'start', '--block', '--disable-usage-stats', '--num-cpus=1', '--num-gpus=0', ...args],
        ...[
          '--node-ip-address=127.0.0.1',
          '--object-store-memory=80000000',
          '--min-worker-port=0',
          '--max-worker-port=0',
        ],
        ...names.map((name, index) => `--${name}=${ports[index]}`),
      ],
      {
        detached: true, // a group of its own
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          ...env,
          PATH: `${bin}:${programs}:${process.env['PATH']}`,
          RAY_worker_niceness: '0', // 15 by default, which starves workers beside other tests
          RAY_AUTH_MODE: 'token',
          RAY_AUTH_TOKEN: token,
        },
      },
    );
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-5000)));
    nodes.push(child);
  };
  const isOwn = ({ pid, words }: Process): boolean =>
    worksBelow(pid, folder) || words.some((word) => word.includes(folder)) || nodes.some((node) => node.pid === pid);
  const raylets = (): Process[] => processes((one) => one.words[0]?.endsWith('/raylet') === true && isOwn(one));
  const headers = { authorization: `Bearer ${token}` };
  const url = `http://127.0.0.1:${dashboard}`;
  try {
    start(
      [
        '--head',
        `--port=${gcs}`,
        `--temp-dir=${folder}`,
        '--dashboard-host=127.0.0.1',
        `--dashboard-port=${dashboard}`,
        `--ray-client-server-port=${client}`,
      ],
      agents.slice(0, 4),
    );
    await untilReady(url, headers, 1, nodes);
    start([`--address=127.0.0.1:${gcs}`], agents.slice(4));
    await untilReady(url, headers, 2, nodes);
  } catch (error) {
    for (const { pid } of nodes) kill(-(pid as number));
    throw new Error(`the cluster did not start: ${output}`, { cause: error });
  }
  const second = nodes[1]?.pid;
  return {
    url,
    token,
    raylet: () => raylets().find(({ group }) => group === second) as Process,
    actors: () =>
      processes(
        (one) => one.words[0] === 'ray::ShardActor' || one.words[0]?.startsWith('ray::ShardActor.') === true,
      ).filter(isOwn),
    drivers: () => processes((one) => one.words[1] === '-m' && one.words[2] === 'qalign.ray' && isOwn(one)),
    workers: () =>
      processes(
        ({ words }) =>
          words.includes('--shard-worker') &&
          words[1]?.endsWith('tether.py') !== true &&
          !words.some((word) => word.endsWith('tether.py')),
      ),
    async close() {
      for (const { pid } of processes(isOwn)) kill(pid);
      for (const { pid } of nodes) kill(-(pid as number));
      await until('the end of Ray', () => processes(isOwn).length === 0, 10_000).catch(() => {});
      return processes(isOwn);
    },
  };
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}

/** Waits until so many nodes can run jobs. */
async function untilReady(
  url: string,
  headers: Record<string, string>,
  count: number,
  nodes: readonly ChildProcess[],
): Promise<void> {
  const start = performance.now();
  for (;;) {
    const answer = await fetch(`${url}/nodes?view=summary`, { headers }).catch(() => undefined);
    if (answer?.ok === true) {
      const { data } = (await answer.json()) as { data?: { summary?: { raylet?: { state?: string } }[] } };
      if ((data?.summary ?? []).filter(({ raylet }) => raylet?.state === 'ALIVE').length >= count) return;
    }
    if (nodes.some(({ exitCode }) => exitCode !== null)) throw new Error('a node ended');
    if (performance.now() - start > START_MS) throw new Error(`${count} nodes are not ready`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
