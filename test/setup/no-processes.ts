/** Vitest's set-up of the unit tests: whatever starts a process fails, so that none needs Python or ffmpeg. */
import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';

const STARTERS = ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync'] as const;

for (const name of STARTERS) {
  Object.assign(childProcess, {
    [name]: (what: string): never => {
      throw new Error(`A unit test starts no process, not even ${what}: name its file *.integration.test.ts.`);
    },
  });
}
syncBuiltinESMExports();
