import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openWhole } from '../../../src/base/files/whole-file.js';

describe('openWhole', () => {
  it('removes what a killed process had written of the same file, and nothing of one that lives', async () => {
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
});
