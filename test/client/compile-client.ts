import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { packageRoot } from '../../src/base/package-root.js';

const FOLDER = join(packageRoot, 'src/client');

/** What `tsc` makes of the client, file by file, in a folder. Returns all of the code. */
export async function compileClient(into: string): Promise<string> {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(packageRoot, 'tsconfig.json'), (path) => ts.sys.readFile(path)).config,
    ts.sys,
    packageRoot,
  );
  const compilerOptions = { ...options, module: ts.ModuleKind.ESNext };
  const codes: string[] = [];
  for (const name of await readdir(FOLDER)) {
    const code = ts.transpileModule(await readFile(join(FOLDER, name), 'utf8'), { compilerOptions }).outputText;
    await writeFile(join(into, name.replace(/\.ts$/, '.js')), code);
    codes.push(code);
  }
  return codes.join('\n');
}
