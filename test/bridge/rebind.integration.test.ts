import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Dealer } from 'zeromq';
import { bindTransport } from '../../bridge/transport.js';

// in a process of its own: libzmq can abort when sockets of other tests are collected while this one binds again
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rebind-'));
  vi.stubEnv('XDG_RUNTIME_DIR', '');
  vi.stubEnv('TMPDIR', root);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

it('binds again when the socket or its folder was removed or replaced, so that workers still reach it', async () => {
  const heard: string[] = [];
  const transport = await bindTransport((peer) => heard.push(peer));
  const pathOf = (): string => transport.endpoint.slice('ipc://'.length);
  const first = pathOf();
  const greet = async (name: string): Promise<void> => {
    const dealer = new Dealer({ routingId: name, linger: 0 });
    dealer.connect(transport.endpoint);
    await dealer.send('{}');
    await expect.poll(() => heard).toContain(name);
    dealer.close();
  };
  await transport.mend();
  await greet('before');
  rmSync(first);
  await transport.mend();
  await greet('without socket');
  rmSync(dirname(first), { recursive: true });
  await transport.mend();
  expect(pathOf()).toBe(first); // a starting worker has this path
  await greet('without folder');
  rmSync(dirname(first), { recursive: true });
  writeFileSync(dirname(first), 'the name is taken');
  await transport.mend();
  expect(pathOf()).not.toBe(first);
  await greet('elsewhere');
  const last = pathOf();
  transport.close();
  expect(existsSync(dirname(last))).toBe(false);
});
