/** Setup of the unit tests: starting a process fails, so that no unit test needs Python or ffmpeg. */
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
