import { defineConfig } from 'vitest/config';

const root = new URL('..', import.meta.url).pathname;
const INTEGRATION = 'test/**/*.integration.test.ts';

/**
 * `unit`: tests without Python, ffmpeg and child processes; all files share two processes.
 * `integration`: all other tests, with real parts.
 */
export default defineConfig({
  test: {
    // native addons (zeromq, sharp) need processes instead of threads
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
