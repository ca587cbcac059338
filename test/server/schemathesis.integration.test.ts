import { spawn } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { probePython } from '../../src/engine/python/probe.js';
import { createKeyStore } from '../../src/server/http/key-store.js';
import { openServiceDatabase } from '../../src/server/service-database.js';
import { installPins } from '../setup/python.js';
import { startService } from './start-service.js';

const executable = process.env['QALIGN_PYTHON'] as string; // from the global setup
// one worker: with several, CPython 3.11 fails in ast.parse (SystemError)
const RUN = 'import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())';

/** The folder of its packages, or the reason why it is missing. */
async function packages(): Promise<string | Error> {
  const probe = await probePython(executable, ['schemathesis']);
  if (probe === undefined) return new Error(`${executable} does not answer`);
  if (probe.major === 3 && probe.minor < 11) return new Error('schemathesis needs Python 3.11');
  return installPins('api-test', executable, probe).catch((error: Error) => error);
}

it('schemathesis finds no deviation from /openapi.json: all phases, every check except positive_data_acceptance', async ({
  skip,
}) => {
  const folder = await packages();
  if (folder instanceof Error) {
    process.stderr.write(`NOT RUN: schemathesis against the service (${folder.message})\n`);
    return skip(folder.message);
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'qalign-schemathesis-'));
  const root = join(dataDir, 'pictures');
  await cp(join(packageRoot, 'test/fixtures/pictures'), root, { recursive: true });
  const key = newKey(join(dataDir, 'data'));
  const service = await startService(
    [`root=${root}`, `runs_dir=${join(dataDir, 'runs')}`, 'rate_per_minute=0', 'offline=true', 'most_models=1'],
    { dataDir: join(dataDir, 'data'), key },
  );
  try {
    const authorization = `Bearer ${key}`;
    const described = await fetch(`${service.url}/openapi.json`, { headers: { authorization } });
    const document = join(dataDir, 'openapi.json');
    await writeFile(document, JSON.stringify(withoutDefaults(await described.json())));
    const { status, output } = await schemathesis(folder, dataDir, [
      'run',
      document,
      '--url',
      service.url,
      '-H',
      `Authorization: ${authorization}`,
      '--no-color',
    ]);
    expect(status, output.slice(-20_000)).toBe(0);
    expect(output).toMatch(/Operations:\s+(\d+) selected \/ \1 total/);
    expect(output).not.toMatch(/=+ ERRORS =+/);
    for (const phase of ['Examples', 'Coverage', 'Fuzzing', 'Stateful'])
      expect(output).toMatch(new RegExp(`✅ +${phase}`));
  } finally {
    await service.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}, 600_000);

/** Without the response that stands for every other status: what an operation answers must be named by its status. */
function withoutDefaults(document: unknown): object {
  const { paths, ...rest } = document as { paths: Record<string, Record<string, { responses: object }>> };
  for (const operation of Object.values(paths).flatMap((methods) => Object.values(methods)))
    operation.responses = Object.fromEntries(
      Object.entries(operation.responses).filter(([status]) => status !== 'default'),
    );
  return { ...rest, paths };
}

function newKey(dataDir: string): string {
  const database = openServiceDatabase(dataDir);
  try {
    return createKeyStore(database).create('schemathesis', ['admin']);
  } finally {
    database.close();
  }
}

function schemathesis(
  folder: string,
  cwd: string,
  args: readonly string[],
): Promise<{ status: number | null; output: string }> {
  const config = join(packageRoot, 'test/server/schemathesis.toml');
  const child = spawn(executable, ['-c', RUN, '--config-file', config, ...args], {
    cwd,
    env: { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output }));
  });
}
