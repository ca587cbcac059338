import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { makeSocketFolder, socketIn, sweepSocketFolders } from '../../bridge/socket-folder.js';

/** Above the largest pid of Linux, 2²², like pids of another PID namespace. */
const GONE = 4_194_305;
const old = (path: string): void => utimesSync(path, 1, 1);

let root: string;
beforeEach(() => {
  root = mkdtempSync('/tmp/sweep-');
  vi.stubEnv('XDG_RUNTIME_DIR', '');
  vi.stubEnv('TMPDIR', root);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

/** A bridge's folder with the name of a process that does not exist. */
function foreignFolder(letter: string): string {
  const made = makeSocketFolder();
  const folder = join(root, `qalign-${GONE}-${letter.repeat(6)}`);
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(join(folder, 'kernel'), readKernel(made));
  rmSync(made, { recursive: true });
  return folder;
}
const readKernel = (folder: string): Buffer => readFileSync(join(folder, 'kernel'));

async function listenIn(folder: string): Promise<Server> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(socketIn(folder), done));
  return server;
}

/** A socket file without a listener, as kill -9 leaves it. */
async function leaveSocket(folder: string): Promise<void> {
  const server = await listenIn(folder);
  linkSync(socketIn(folder), join(root, 'kept'));
  await new Promise((done) => server.close(done)); // removes its socket file
  renameSync(join(root, 'kept'), socketIn(folder));
}

it('keeps the folder of a living bridge with any pid, and removes those of dead ones', async () => {
  const [live, dead, empty] = [foreignFolder('a'), foreignFolder('b'), foreignFolder('c')];
  const server = await listenIn(live);
  await leaveSocket(dead);
  for (const folder of [live, dead, empty]) old(folder);
  await sweepSocketFolders();
  expect([live, dead, empty].map((folder) => existsSync(folder))).toEqual([true, false, false]);
  expect(existsSync(socketIn(live))).toBe(true);
  server.close();
});

it('keeps folders that are new, hold other files, are open to other users, or belong to another kernel', async () => {
  const [young, more, open, other] = ['a', 'b', 'c', 'd'].map(foreignFolder) as [string, string, string, string];
  writeFileSync(join(more, 'mine'), '');
  chmodSync(open, 0o755);
  writeFileSync(join(other, 'kernel'), 'another');
  for (const folder of [more, open, other]) old(folder);
  await sweepSocketFolders();
  expect([young, more, open, other].map((folder) => existsSync(folder))).toEqual([true, true, true, true]);
});

it('is in XDG_RUNTIME_DIR if that is private, otherwise or for long paths in the temporary folder', () => {
  const runtime = join(root, 'run');
  mkdirSync(runtime, { mode: 0o700 });
  vi.stubEnv('XDG_RUNTIME_DIR', runtime);
  expect(dirname(makeSocketFolder())).toBe(runtime);
  chmodSync(runtime, 0o755);
  expect(dirname(makeSocketFolder())).toBe(root);
  vi.stubEnv('XDG_RUNTIME_DIR', join(root, 'nowhere'));
  expect(dirname(makeSocketFolder())).toBe(tmpdir());
  const deep = join(root, 'd'.repeat(100));
  mkdirSync(deep, { mode: 0o700 });
  vi.stubEnv('XDG_RUNTIME_DIR', deep);
  expect(dirname(makeSocketFolder())).toBe(root);
});
