import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { unfitRuntime } from '../../src/base/runtime.js';

describe('unfitRuntime', () => {
  it.each([
    [{ node: '20.20.2' }, false, undefined],
    [{ node: '24.1.0' }, false, undefined],
    [{ node: '18.19.0' }, false, /^qalign needs Node.js 20 or newer: this is Node.js 18.19.0\.$/],
    [{ node: '24.3.0', bun: '1.4.5' }, false, /^qalign needs Node.js 20 or newer: this is Bun 1.4.5,/],
    [{ node: '24.2.0', deno: '2.5.0' }, true, /^qalign needs Node.js 20 or newer: this is Deno,/],
  ])('of %j', (versions, isDeno, said) => {
    const found = unfitRuntime(versions, isDeno);
    if (said === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(said);
  });

  it('is checked before other modules are loaded', () => {
    const read = (file: string): string => readFileSync(join(packageRoot, file), 'utf8');
    expect(/^(?:import|export) .*$/m.exec(read('src/index.ts'))?.[0]).toBe("import './base/require-node.js';");
    expect(read('src/cli/main.ts')).toMatch(/if \(unfit !== undefined\)[^]*runCli\(/);
    expect(read('src/client/client.ts')).not.toContain('require-node');
  });
});
