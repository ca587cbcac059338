/** The faults that are injected into the service, one at a time, in a seeded order. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { oddClients } from './clients.js';
import { pick } from './ledger.js';
import { signal, workersOf, type Service } from './service.js';

export interface Scene {
  readonly service: Service;
  readonly dataDir: string;
  /** Whether dataDir is a separate file system, which can be filled. */
  readonly small: boolean;
  readonly picture: string;
  readonly random: () => number;
  readonly complain: (sentence: string) => void;
}

type Fault = (scene: Scene) => Promise<string>;

const worker = ({ service, random }: Scene): number | undefined => {
  const pids = workersOf(service.pid());
  return pids.length === 0 ? undefined : pick(random, pids);
};

const startAgainAfter = (how: 'SIGKILL' | 'SIGTERM'): { readonly weight: number; readonly run: Fault } => ({
  weight: 1,
  async run({ service }) {
    await service.stop(how);
    await service.start();
    return 'started again';
  },
});

const FAULTS: Readonly<Record<string, { readonly weight: number; readonly run: Fault }>> = {
  clients: { weight: 8, run: ({ service, picture, random }) => oddClients(service.port, picture, random) },
  kill_worker: {
    weight: 4,
    async run(scene) {
      const pid = worker(scene);
      return pid !== undefined && signal(pid, 'SIGKILL') ? `${pid}` : 'none there';
    },
  },
  freeze_worker: {
    weight: 2,
    async run(scene) {
      const pid = worker(scene);
      if (pid === undefined || !signal(pid, 'SIGSTOP')) return 'none there';
      if (scene.random() < 0.5) return `${pid}, left`;
      await sleep(3000 + scene.random() * 15_000);
      signal(pid, 'SIGCONT');
      return `${pid}, thawed`;
    },
  },
  kill_service: startAgainAfter('SIGKILL'),
  restart_service: startAgainAfter('SIGTERM'),
  second_service: {
    weight: 1,
    async run({ service, complain }) {
      const { code, said } = await service.second();
      if (code === undefined) complain('A second service on the same data_dir went on.');
      else if (!said.includes('DATA_DIR_IN_USE')) complain(`A second service ended with ${code}: ${said.slice(-300)}`);
      return `exit code ${code ?? 'none'}`;
    },
  },
  fill_disk: {
    weight: 2,
    async run({ dataDir, small, random }) {
      if (!small) return 'not possible here';
      fill(join(dataDir, 'fill'));
      await sleep(3000 + random() * 7000);
      rmSync(join(dataDir, 'fill'), { force: true });
      return 'full, then freed';
    },
  },
};

/** Fills its disk completely. */
function fill(file: string): void {
  const to = openSync(file, 'w');
  try {
    for (const size of [1 << 20, 4096, 1]) {
      const block = Buffer.alloc(size);
      for (let written = 0; written < 1e9; written += size) {
        try {
          writeSync(to, block);
        } catch {
          break;
        }
      }
    }
  } finally {
    closeSync(to);
  }
}

/** Picks a fault by weight and injects it; returns a description. */
export async function doFault(scene: Scene): Promise<{ name: string; what: string }> {
  const names = Object.entries(FAULTS).flatMap(([name, { weight }]) => Array<string>(weight).fill(name));
  const name = pick(scene.random, names);
  return { name, what: (await FAULTS[name]?.run(scene)) ?? '' };
}
