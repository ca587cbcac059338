import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { EXAMPLE_PICTURE } from '../../src/media/probe-picture.js';
import { startService, withoutPython } from '../server/start-service.js';

/** What `tsc` makes of the client: it stands alone, so compiling its one file is enough. */
async function compile(): Promise<string> {
  const source = await readFile(join(packageRoot, 'src/client/client.ts'), 'utf8');
  const options = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(packageRoot, 'tsconfig.json'), (path) => ts.sys.readFile(path)).config,
    ts.sys,
    packageRoot,
  ).options;
  return ts.transpileModule(source, { compilerOptions: { ...options, module: ts.ModuleKind.ESNext } }).outputText;
}

it('is exported as qalign/client, imports nothing at run time, and scores', async () => {
  const { exports, name, type } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as {
    exports: Record<string, { default: string; types: string }>;
    name: string;
    type: string;
  };
  const code = await compile();
  expect(code).not.toMatch(/^\s*(import|export)\b.*\bfrom\b|\brequire\(|node:|\bBuffer\b|\bprocess\./m);
  const target = exports['./client']?.default as string;
  expect([target, exports['./client']?.types]).toEqual([
    './dist/src/client/client.js',
    './dist/src/client/client.d.ts',
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'qalign-client-'));
  const service = await startService([], withoutPython);
  try {
    // a project that has installed the package, with nothing of it but the client
    const installed = join(folder, 'node_modules', name);
    await cp(join(packageRoot, 'package.json'), join(installed, 'package.json'));
    await mkdir(join(installed, 'dist/src/client'), { recursive: true });
    await writeFile(join(installed, target), code);
    await writeFile(
      join(folder, 'use.mjs'),
      `import { createClient } from 'qalign/client';
const { scored, items } = await createClient({ url: process.argv[2] }).score([{ id: 'x', base64: process.argv[3] }]);
console.log(scored, items[0].input);
`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [
      join(folder, 'use.mjs'),
      service.url,
      EXAMPLE_PICTURE,
    ]);
    expect(stdout.trim()).toBe('1 x');
    expect(type).toBe('module');
  } finally {
    await service.close();
    await rm(folder, { recursive: true });
  }
});
