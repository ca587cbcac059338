import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openWhole, writeWhole } from '../../../src/base/files/whole-file.js';
import { packageRoot } from '../../../src/base/package-root.js';

describe('openWhole', () => {
  it('removes the draft of a killed process, but not of a living one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'qalign-whole-'));
    try {
      const gone = spawn(process.execPath, ['-e', '']);
      await once(gone, 'exit');
      const [killed, living, other] = [`a.jsonl.${gone.pid}.part`, 'a.jsonl.1.part', `b.jsonl.${gone.pid}.part`];
      for (const name of [killed, living, other]) await writeFile(join(folder, name), 'half');
      const file = await openWhole(join(folder, 'a.jsonl'));
      await file.write('whole');
      await file.commit();
      expect(await readFile(join(folder, 'a.jsonl'), 'utf8')).toBe('whole');
      expect((await readdir(folder)).sort()).toEqual(['a.jsonl', living, other].sort());
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it.each(['file', 'folder'])('hides the %s of a killed writer, whose draft the next writer removes', async (what) => {
    const folder = await mkdtemp(join(tmpdir(), 'qalign-whole-'));
    try {
      const path = join(folder, 'a');
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', KILLED, path, what], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      expect(await readdir(folder)).toEqual([expect.stringMatching(/^a\..*\.part$/)]);
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(await readdir(folder)).toHaveLength(1);
      await writeWhole(path, 'whole');
      expect(await readdir(folder)).toEqual(['a']);
      expect(await readFile(path, 'utf8')).toBe('whole');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** Writes a part of a file or folder and then waits. */
const KILLED = `
  import { mkdir, writeFile } from 'node:fs/promises';
  import { makeWhole, openWhole } from ${JSON.stringify(join(packageRoot, 'src/base/files/whole-file.ts'))};
  const [path, what] = process.argv.slice(1);
  const wait = () => new Promise(() => setInterval(() => {}, 1000));
  if (what === 'file') {
    const file = await openWhole(path);
    await file.write('x'.repeat(1_000_000));
    console.log('written');
    await wait();
  }
  await makeWhole(path, async (draft) => {
    await mkdir(draft);
    await writeFile(draft + '/0', 'x');
    console.log('written');
    await wait();
  });
`;
