import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createTerminal } from '../../../src/cli/terminal/terminal.js';

/** A stream whose disk is full, or whose reader is gone. */
function broken(code: string): Writable {
  const stream = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error(`${code}: no`), { code })),
  });
  stream.on('error', () => undefined);
  return stream;
}

describe('terminal.out', () => {
  it('names a full disk as what it is, and leaves a closed reader to the process', async () => {
    const stderr = new Writable({ write: (_chunk, _encoding, done) => done() });
    await expect(createTerminal(broken('ENOSPC'), stderr).out('x')).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: 'The output could not be written: ENOSPC: no.',
    });
    await expect(createTerminal(broken('EPIPE'), stderr).out('x')).rejects.toMatchObject({ code: 'EPIPE' });
  });
});
