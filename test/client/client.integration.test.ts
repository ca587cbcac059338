import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { EXAMPLE_PICTURE } from '../../src/media/probe-picture.js';
import { startService, withoutPython } from '../server/start-service.js';
import { compileClient } from './compile-client.js';

it('is exported as qalign/client, imports nothing from outside at run time, and scores', async () => {
  const { exports, name } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as {
    exports: Record<string, { default: string; types: string }>;
    name: string;
  };
  const target = exports['./client']?.default as string;
  const folder = await mkdtemp(join(tmpdir(), 'qalign-client-'));
  const service = await startService([], withoutPython);
  try {
    // a project with the installed package, reduced to the client
    const installed = join(folder, 'node_modules', name);
    await mkdir(dirname(join(installed, target)), { recursive: true });
    await cp(join(packageRoot, 'package.json'), join(installed, 'package.json'));
    const code = await compileClient(dirname(join(installed, target)));
    expect(code).not.toMatch(/\bfrom '(?!\.\/)|\brequire\(|node:|\bBuffer\b|\bprocess\./m);
    await writeFile(
      join(folder, 'use.mjs'),
      `import { createClient } from 'qalign/client';
const { scored, items } = await createClient({ url: process.argv[2] }).score([{ id: 'x', base64: process.argv[3] }]);
console.log(scored, items[0].input);
`,
    );
    const args = [join(folder, 'use.mjs'), service.url, EXAMPLE_PICTURE];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout.trim()).toBe('1 x');
  } finally {
    await service.close();
    await rm(folder, { recursive: true });
  }
});
