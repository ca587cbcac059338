import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createTerminal } from '../../../src/cli/terminal/terminal.js';

/** A stream whose disk is full, or whose reader has closed. */
function broken(code: string): Writable {
  const stream = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error(`${code}: no`), { code })),
  });
  stream.on('error', () => undefined);
  return stream;
}

describe('terminal.out', () => {
  it('reports a full disk, and leaves a closed reader to the process', async () => {
    const stderr = new Writable({ write: (_chunk, _encoding, done) => done() });
    await expect(createTerminal(broken('ENOSPC'), stderr).out('x')).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      message: 'The output could not be written: no space is left on the disk.',
    });
    await expect(createTerminal(broken('EPIPE'), stderr).out('x')).rejects.toMatchObject({ code: 'EPIPE' });
  });
});

/** A terminal on which both streams write to one screen. */
function screen(): { stdout: Writable; stderr: Writable; written: () => string } {
  let all = '';
  const stream = (): Writable =>
    Object.assign(
      new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          all += chunk.toString();
          done();
        },
      }),
      { isTTY: true, columns: 40 },
    );
  return { stdout: stream(), stderr: stream(), written: () => all };
}

describe('rows and the progress line', () => {
  it('do not overlap: the line is cleared before a row and drawn again below it', async () => {
    const { stdout, stderr, written } = screen();
    const terminal = createTerminal(stdout, stderr);
    terminal.progress('50 %');
    await terminal.out('a row\n');
    terminal.say('a note');
    expect(written()).toBe('\r\u001b[J50 %\r\r\u001b[Ja row\n\r\u001b[J50 %\r\r\u001b[Ja note\n\r\u001b[J50 %\r');
  });

  it('are separate if stdout is a file', async () => {
    const { stderr, written } = screen();
    let out = '';
    const stdout = new Writable({ write: (chunk: Buffer, _encoding, done) => ((out += chunk.toString()), done()) });
    const terminal = createTerminal(stdout, stderr);
    terminal.progress('50 %');
    await terminal.out('\u001b raw data\n');
    expect([out, written()]).toEqual(['\u001b raw data\n', '\r\u001b[J50 %\r']);
  });
});

describe('control characters', () => {
  it('are shown on a terminal, in rows, notes and the progress line', async () => {
    const { stdout, stderr, written } = screen();
    const terminal = createTerminal(stdout, stderr);
    await terminal.out('{"input":"\u009b31m"}\n');
    terminal.say('\u001b]0;title\u0007');
    terminal.progress('x\ny');
    expect(written()).toBe('{"input":"\\u009b31m"}\n\\u001b]0;title\\u0007\n\r\u001b[Jx\\u000ay\r');
  });
});

describe('progress without a terminal', () => {
  it('is a plain line every ten seconds', async () => {
    let [time, all] = [0, ''];
    const stream = new Writable({ write: (chunk: Buffer, _encoding, done) => ((all += chunk.toString()), done()) });
    const terminal = createTerminal(stream, stream, { now: () => time });
    for (; time <= 25_000; time += 100) terminal.progress(`${'█'.repeat(3)}${'░'.repeat(21)} ${time}/25000`);
    terminal.progress(undefined);
    expect(all).toBe('qalign: 10000/25000\nqalign: 20000/25000\n');
  });
});

it('uses a default width on a terminal without a size', () => {
  const { stdout, stderr, written } = screen();
  Object.assign(stderr, { columns: 0 });
  createTerminal(stdout, stderr).progress('loading nano');
  expect(written()).toContain('loading nano');
});
