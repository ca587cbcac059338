import { expect, it } from 'vitest';
import { QalignError } from '../../../src/base/errors.js';
import { untilWritten, type WaitForRoom } from '../../../src/server/jobs/disk-room.js';

const full = (message: string): QalignError => new QalignError('OUTPUT_UNWRITABLE', message);
/** A pause that takes no time and records its length. */
const waiting = (signal = new AbortController().signal) => {
  const reasons: string[] = [];
  const pauses: number[] = [];
  const parts: WaitForRoom = {
    onWait: (reason) => void reasons.push(reason),
    signal,
    pause: async (ms) => {
      signal.throwIfAborted();
      pauses.push(ms);
    },
  };
  return { reasons, pauses, parts };
};

it('writes at once while there is room', async () => {
  const { reasons, parts } = waiting();
  expect(await untilWritten(async () => 7, parts)).toBe(7);
  expect(reasons).toEqual([]);
});

it('tries again every two seconds until there is room, and reports why it waits', async () => {
  const { reasons, pauses, parts } = waiting();
  const tries = [full('no room'), full('still none')];
  const write = async (): Promise<string> => {
    const failure = tries.shift();
    if (failure !== undefined) throw failure;
    return 'written';
  };
  expect(await untilWritten(write, parts)).toBe('written');
  expect(reasons).toEqual(['no room', 'still none']);
  expect(pauses).toEqual([2000, 2000]);
});

it('waits only for room', async () => {
  const { reasons, parts } = waiting();
  const failing = (error: Error): Promise<never> =>
    untilWritten(async () => {
      throw error;
    }, parts);
  await expect(failing(new QalignError('MEDIA_NOT_FOUND', 'gone'))).rejects.toThrow('gone');
  await expect(failing(new TypeError('a bug'))).rejects.toThrow('a bug');
  expect(reasons).toEqual([]);
});

it('ends when it is stopped in a pause', async () => {
  const stop = new AbortController();
  const { parts } = waiting(stop.signal);
  const stopped = untilWritten(
    async () => {
      throw full('no room');
    },
    { ...parts, onWait: () => stop.abort(new QalignError('CANCELLED', 'stopped')) },
  );
  await expect(stopped).rejects.toThrow('stopped');
});
