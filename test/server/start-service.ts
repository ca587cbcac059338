import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../../src/config/load.js';
import { ServeConfig } from '../../src/config/serve.js';
import { createLogger, type LogFields } from '../../src/base/logger.js';
import type { ScorerOptions } from '../../src/recipes/score/scorer.js';
import { createClient, type QalignClient } from '../../src/client/client.js';
import { serve, type RunningService, type ServeParts } from '../../src/server/serve.js';
import { fakeScorer } from '../recipes/score/fake-scorer.js';

export interface TestService extends RunningService {
  readonly client: QalignClient;
  readonly dataDir: string;
  readonly logged: { level: string; message: string; fields: LogFields | undefined }[];
}

/** Starts a service on a free port with its own folder, and with real workers unless `createScorer` replaces them. */
export async function startService(
  overrides: readonly string[] = [],
  parts: Partial<ServeParts> & { dataDir?: string; key?: string } = {},
): Promise<TestService> {
  const dataDir = parts.dataDir ?? (await mkdtemp(join(tmpdir(), 'qalign-serve-')));
  const config = parseConfig(ServeConfig, '', 'the test', [
    'port=0',
    `data_dir=${dataDir}`,
    'device=cpu',
    'models=[tiny-untrained]',
    ...overrides,
  ]) as ServeConfig;
  const logged: TestService['logged'] = [];
  const log = createLogger((level, message, fields) => void logged.push({ level, message, fields }), 'debug');
  const running = await serve({
    config,
    log,
    ...(parts.createScorer === undefined ? {} : { createScorer: parts.createScorer }),
    ...(parts.isAllowedAddress === undefined ? {} : { isAllowedAddress: parts.isAllowedAddress }),
  });
  await running.loaded;
  const client = createClient({ url: running.url, retries: 0, ...(parts.key === undefined ? {} : { key: parts.key }) });
  const close = async (): Promise<void> => {
    await running.close();
    if (parts.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
  };
  return { ...running, client, dataDir, logged, close };
}

/** Starts a service without Python, for tests that do not depend on scores. */
export const withoutPython = { createScorer: (options: ScorerOptions) => fakeScorer(options) };
