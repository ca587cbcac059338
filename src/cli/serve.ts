import { once } from 'node:events';
import { loadConfig, parseConfig } from '../config/load.js';
import { ServeConfig } from '../config/serve.js';
import { QalignError } from '../base/errors.js';
import { createLogger } from '../base/logger.js';
import { serve as startService } from '../server/serve.js';
import { defineCommand } from './command.js';
import { environmentKey, environmentOverrides } from './serve-environment.js';
import { keyPage } from './terminal/recipes.js';

export const serve = defineCommand({
  name: 'serve',
  summary: 'serve scores, jobs and training runs over HTTP',
  args: '[CONFIG]',
  description:
    'CONFIG is a YAML file; --keys lists its keys. Logs JSON lines to stderr. SIGTERM or Ctrl-C stops the service: it finishes running requests, and jobs continue at the next start. To listen on other addresses than loopback, the service needs an API key (qalign keys, or QALIGN_API_KEY). The environment variable QALIGN_SERVE_KEY=value is the same as key=value.',
  examples: [
    'qalign serve',
    "qalign serve port=9000 models='[one-align]' device=cuda:0",
    'qalign serve --keys',
    'curl -F file=@photo.jpg localhost:8080/v1/score',
  ],
  overrides: true,
  endsBySignal: true,
  flags: {
    keys: { type: 'boolean', help: 'list every key of the configuration: type, default, meaning' },
    json: { type: 'boolean', help: 'with --keys: print JSON' },
  },
  async run({ args, overrides, flags, terminal, signal }) {
    if (flags.keys) {
      await terminal.out(keyPage(ServeConfig, flags.json, terminal));
      return 0;
    }
    if (args.length > 1)
      throw new QalignError('USAGE', 'qalign serve: name at most one configuration file; see "qalign serve --help".');
    const changes = [...environmentOverrides(process.env), ...overrides]; // the command line takes precedence
    const config = (
      args[0] === undefined
        ? parseConfig(ServeConfig, '', 'the command line', changes)
        : await loadConfig(ServeConfig, args[0], changes)
    ) as ServeConfig;
    const log = createLogger(
      (level, message, fields) =>
        terminal.sayLine(JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })),
      config.log_level,
    );
    process.umask(0o077); // only the user of the service can read keys, uploads and results
    const service = await startService({ config, log, apiKey: await environmentKey(process.env) });
    const stopped = signal.aborted ? Promise.resolve() : once(signal, 'abort');
    try {
      await Promise.race([service.loaded, stopped]);
      await stopped;
    } finally {
      await service.close();
    }
    return 0;
  },
});
