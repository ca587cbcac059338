import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openPython } from '../../../src/engine/python/open.js';

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function gone(pid: number): Promise<boolean> {
  for (let i = 0; i < 100 && isAlive(pid); i++) await sleep(50);
  return !isAlive(pid);
}

describe('openPython', () => {
  it('keeps a namespace, and returns arrays, NaN and infinities', async () => {
    await using python = await openPython();
    await python.exec('import numpy as np\na = np.arange(3) * k', { k: 2 });
    expect(
      await python.eval('{"a": a, "odd": [float("nan"), float("inf"), -np.inf], "t": (1, "é", None, True)}'),
    ).toEqual({ a: [0, 2, 4], odd: [Number.NaN, Infinity, -Infinity], t: [1, 'é', null, true] });
    expect(await python.eval('bytes([0, 255, 10])')).toEqual(Uint8Array.of(0, 255, 10));
    // and sends them to Python
    await python.exec('import math');
    expect(
      await python.eval('[math.isnan(x[0]), x[1] == -math.inf, y, z == b"\\x00\\xff"]', {
        x: [Number.NaN, -Infinity],
        y: Float64Array.of(1, 2.5),
        z: Uint8Array.of(0, 255),
      }),
    ).toEqual([true, true, [1, 2.5], true]);
    expect(await Promise.all(Array.from({ length: 20 }, (_, i) => python.eval('i * i', { i })))).toEqual(
      Array.from({ length: 20 }, (_, i) => i * i),
    );
  }, 200_000);

  it('reports exceptions by name, with their trace, and continues', async () => {
    const said: string[] = [];
    await using python = await openPython({ onOutput: (text) => said.push(text) });
    await expect(python.eval('1 / 0')).rejects.toMatchObject({
      code: 'WORKER_INTERNAL',
      message: expect.stringContaining('ZeroDivisionError: division by zero') as string,
    });
    await expect(python.exec('raise SystemExit(3)')).rejects.toMatchObject({
      message: expect.stringContaining('SystemExit') as string,
    });
    await expect(python.eval('object()')).rejects.toMatchObject({
      message: expect.stringContaining('a object cannot be sent as JSON') as string,
    });
    await python.exec('print("hello", flush=True)');
    expect(await python.eval('6 * 7')).toBe(42);
    expect(said.join('')).toContain('hello');
  }, 200_000);

  it('fails running calls at once when the interpreter is killed', async () => {
    const python = await openPython();
    const { pid } = python;
    const call = python.exec('import os, signal; os.kill(os.getpid(), signal.SIGSEGV)');
    await expect(call).rejects.toMatchObject({ code: 'WORKER_LOST' });
    await expect(python.eval('1')).rejects.toMatchObject({ code: 'WORKER_LOST' });
    await python.close();
    expect(await gone(pid)).toBe(true);
  }, 200_000);

  it('is not opened for a cancelled caller, and ends on cancellation', async () => {
    await expect(openPython({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'CANCELLED' });
    const controller = new AbortController();
    await using python = await openPython({ signal: controller.signal });
    const busy = expect(python.exec('while True: pass')).rejects.toMatchObject({ code: 'CANCELLED' });
    controller.abort();
    await busy;
    expect(await gone(python.pid)).toBe(true);
  }, 200_000);

  it('leaves no interpreter running, not even a busy one', async () => {
    const python = await openPython({ timeoutMs: 60_000 });
    const busy = expect(python.exec('while True: pass')).rejects.toMatchObject({ code: 'BRIDGE_CLOSED' });
    await sleep(300);
    await python.close();
    await busy;
    expect(await gone(python.pid)).toBe(true);
    const slow = await openPython({ timeoutMs: 300 });
    await expect(slow.exec('import time; time.sleep(60)')).rejects.toMatchObject({ code: 'WORKER_HUNG' });
    expect(await gone(slow.pid)).toBe(true);
  }, 200_000);
});
