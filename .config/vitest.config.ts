import { defineConfig } from 'vitest/config';

const root = new URL('..', import.meta.url).pathname;
const INTEGRATION = 'test/**/*.integration.test.ts';

/** `unit`: no Python, no ffmpeg, no child process; all files in two processes. `integration`: the rest, real parts. */
export default defineConfig({
  test: {
    // native addons (zeromq, sharp): processes, not threads
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'unit',
          root,
          include: ['test/**/*.test.ts'],
          exclude: [INTEGRATION],
          setupFiles: 'test/setup/no-processes.ts',
          isolate: false,
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'integration',
          root,
          include: [INTEGRATION],
          globalSetup: 'test/setup/python.ts',
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
