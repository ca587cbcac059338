import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { QalignError } from '../base/errors.js';
import { SCOPES } from '../server/http/client-key.js';
import { createKeyStore, type KeyStore } from '../server/http/key-store.js';
import { openServiceDatabase, serviceDatabase } from '../server/service-database.js';
import { defineCommand, defineGroup } from './command.js';
import { defaultDataDir } from './serve-environment.js';
import { tableFor } from './terminal/table.js';

const where = {
  'data-dir': {
    type: 'string',
    value: 'DIR',
    help: 'folder data_dir of the service (default: QALIGN_SERVE_DATA_DIR, else runs/service)',
  },
  json: { type: 'boolean', help: 'print JSON' },
} as const;

function withKeys<T>(dataDir: string | undefined, work: (keys: KeyStore) => T): T {
  const database = openServiceDatabase(dataDir ?? defaultDataDir());
  try {
    return work(createKeyStore(database));
  } finally {
    database.close();
  }
}

const only = (args: readonly string[], verb: string): string => {
  if (args[0] === undefined || args.length > 1) throw new QalignError('USAGE', `qalign keys ${verb}: name one key.`);
  return args[0];
};

const create = defineCommand({
  name: 'keys create',
  summary: 'create an API key; it is printed once, and only its hash is stored',
  args: 'NAME',
  examples: ['qalign keys create web --scope score', 'qalign keys create nightly --scope score --scope jobs'],
  flags: {
    ...where,
    scope: {
      type: 'string',
      multiple: true,
      choices: SCOPES,
      value: SCOPES.join('|'),
      help: 'scope to grant; admin: all scopes; can be repeated (required)',
    },
  },
  async run({ args, flags, terminal }) {
    const name = only(args, 'create');
    const key = withKeys(flags['data-dir'], (keys) => keys.create(name, flags.scope));
    await terminal.out(flags.json ? `${JSON.stringify({ name, scopes: flags.scope, key })}\n` : `${key}\n`);
    return 0;
  },
});

const list = defineCommand({
  name: 'keys list',
  summary: 'list the names and scopes of the keys',
  examples: ['qalign keys list'],
  flags: where,
  async run({ flags, terminal }) {
    const folder = flags['data-dir'] ?? defaultDataDir();
    const stored = existsSync(serviceDatabase(folder)) ? withKeys(folder, (keys) => keys.all()) : [];
    const rows = stored.map(({ name, scopes, createdAt }) => ({ name, scopes, created_at: createdAt }));
    if (flags.json) await terminal.out(`${JSON.stringify(rows)}\n`);
    else if (rows.length === 0)
      terminal.say(`There are no keys in ${resolve(folder)}; "qalign keys create NAME --scope score" creates one.`);
    else {
      const cells = rows.map(({ name, scopes, created_at }) => [
        name,
        scopes.join(','),
        new Date(created_at * 1000).toISOString(),
      ]);
      await terminal.out(tableFor(terminal, terminal.outIsTerminal ? [['key', 'scopes', 'created'], ...cells] : cells));
    }
    return 0;
  },
});

const revoke = defineCommand({
  name: 'keys revoke',
  summary: 'revoke a key; it stops working within two seconds',
  args: 'NAME',
  examples: ['qalign keys revoke web'],
  flags: where,
  async run({ args, flags, terminal }) {
    const name = only(args, 'revoke');
    const found = withKeys(flags['data-dir'], (keys) => keys.revoke(name));
    if (flags.json) await terminal.out(`${JSON.stringify({ name, revoked: found })}\n`);
    else terminal.say(found ? `"${name}" is revoked.` : `The key "${name}" does not exist.`);
    return found ? 0 : 1;
  },
});

export const keys = defineGroup({
  name: 'keys',
  summary: 'create, list and revoke API keys of the service',
  commands: [create, list, revoke],
});
