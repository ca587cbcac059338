import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { curveKeyPair, Reply, Router } from 'zeromq';
import { isLoopback, z85, type HeadKeys } from './keys.js';
import { QalignError } from './qalign-error.js';
import { makeSocketFolder, remakeSocketFolder, socketIdentity, socketIn, sweepSocketFolders } from './socket-folder.js';

/** Messages, not bytes: the net under the credits. */
const HIGH_WATER_MARK = 64;
const LINGER_MS = 1000;
const HEARTBEAT_MS = 2000;

export interface Transport {
  /** May change with `mend`. */
  readonly endpoint: string;
  /**
   * Sees to it that a worker can connect: binds anew when the socket file is gone or is another one. @throws
   * QalignError OUTPUT_UNWRITABLE, WORKER_START_FAILED
   */
  mend(): Promise<void>;
  /**
   * Queues one message; resolves when ZeroMQ took it. The buffers are not copied: never touch them again. @throws
   * QalignError WORKER_LOST for an unknown peer
   */
  send(peer: string, envelope: object, buffers?: readonly Uint8Array[]): Promise<void>;
  close(): void;
}

/** Where workers of other hosts connect. */
export interface Listen {
  /** `tcp://HOST:PORT`; port `*` takes a free one. */
  readonly address: string;
  /** Needed for every address but a loopback one. */
  readonly keys?: HeadKeys | undefined;
}

/**
 * Binds a ROUTER, on a private ipc socket or where `listen` says, and hands over every message that arrives: the
 * decoded envelope, or undefined for what is not JSON.
 */
export async function bindTransport(
  onMessage: (peer: string, envelope: unknown, buffers: readonly Uint8Array[]) => void,
  listen?: Listen,
): Promise<Transport> {
  const bound = await (listen === undefined ? bindPrivately() : bindTcp(listen));
  const { socket } = bound;
  const received = receive(socket, onMessage);
  let last: Promise<unknown> = received.started;
  let mending: Promise<void> | undefined;
  return {
    get endpoint() {
      return bound.endpoint;
    },
    mend: () => (mending ??= bound.mend().finally(() => (mending = undefined))),
    send(peer, envelope, buffers = []) {
      // one pending send a socket: a second one throws EBUSY
      const sent = last.then(() => socket.send([peer, JSON.stringify(envelope), ...buffers]));
      last = sent.catch(() => {});
      return sent.catch((error: NodeJS.ErrnoException) => {
        throw new QalignError('WORKER_LOST', `The worker ${peer} cannot be reached (${error.code ?? error.message}).`, {
          cause: error,
        });
      });
    },
    close() {
      socket.close();
      bound.release();
    },
  };
}

interface Bound {
  readonly socket: Router;
  readonly endpoint: string;
  readonly mend: () => Promise<void>;
  readonly release: () => void;
}

const OPTIONS = {
  mandatory: true,
  linger: LINGER_MS,
  sendHighWaterMark: HIGH_WATER_MARK,
  receiveHighWaterMark: HIGH_WATER_MARK,
} as const;

async function bindPrivately(): Promise<Bound> {
  await sweepSocketFolders();
  const socket = new Router(OPTIONS);
  const folders = new Set<string>();
  let at = { folder: '', socket: undefined as string | undefined };
  const release = (): void => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true }));
  const bindIn = async (folder: string): Promise<void> => {
    folders.add(folder);
    await bindIpc(socket, folder);
    at = { folder, socket: socketIdentity(folder) };
  };
  try {
    await bindIn(makeSocketFolder());
  } catch (error) {
    socket.close();
    release();
    throw error;
  }
  return {
    socket,
    get endpoint() {
      return `ipc://${socketIn(at.folder)}`;
    },
    async mend() {
      if (socket.closed || (at.socket !== undefined && socketIdentity(at.folder) === at.socket)) return;
      // the old listener stays: closing it would close the connections that it has accepted
      if (remakeSocketFolder(at.folder)) await bindIn(at.folder);
      else await bindIn(makeSocketFolder());
    },
    release,
  };
}

async function bindIpc(socket: Router, folder: string): Promise<void> {
  const endpoint = `ipc://${socketIn(folder)}`;
  try {
    await socket.bind(endpoint);
  } catch (error) {
    throw new QalignError(
      'WORKER_START_FAILED',
      `The bridge cannot listen on ${endpoint} (${(error as Error).message}); set TMPDIR to a folder that can be written.`,
      { cause: error },
    );
  }
}

/**
 * Over tcp who may speak is settled before the first byte of ours: by CURVE and a list of keys. Heartbeats find a host
 * that is gone.
 */
async function bindTcp({ address, keys }: Listen): Promise<Bound> {
  if (!/^tcp:\/\/[^/]+:(\d+|\*)$/.test(address))
    throw new QalignError('CONFIG_INVALID', `The bridge cannot listen on ${address}; write tcp://HOST:PORT.`);
  if (keys === undefined && !isLoopback(address))
    throw new QalignError(
      'CONFIG_INVALID',
      `The bridge does not listen on ${address} without keys: anybody could send it scores; make some with "qalign workers keys".`,
    );
  const domain = `qalign-${randomUUID()}`;
  const socket = new Router({
    ...OPTIONS,
    handover: true,
    heartbeatInterval: HEARTBEAT_MS,
    heartbeatTimeout: 3 * HEARTBEAT_MS,
    ...(keys === undefined ? {} : { curveServer: true, curveSecretKey: keys.secret_key, zapDomain: domain }),
  });
  if (keys !== undefined) await admit(domain, keys.allowed_keys);
  try {
    await socket.bind(address);
  } catch (error) {
    socket.close();
    dismiss(domain);
    throw new QalignError(
      'CONFIG_INVALID',
      `The bridge cannot listen on ${address} (${(error as Error).message}); name an address of this host and a free port.`,
      { cause: error },
    );
  }
  return {
    socket,
    endpoint: socket.lastEndpoint ?? address,
    mend: () => Promise.resolve(),
    release: () => dismiss(domain),
  };
}

/**
 * Public keys by ZAP domain. libzmq asks one answerer a process (RFC 27), whoever listens; it ends with the last
 * listener.
 */
const admitted = new Map<string, ReadonlySet<string>>();
let answerer: { readonly socket: Reply; readonly bound: Promise<void> } | undefined;

async function admit(domain: string, keys: readonly string[]): Promise<void> {
  admitted.set(domain, new Set(keys));
  if (answerer === undefined) {
    const socket = new Reply();
    answerer = { socket, bound: bindAnswerer(socket).then(() => void answerRequests(socket)) };
  }
  await answerer.bound;
}

/** The last answerer's close takes a moment to free the name. */
async function bindAnswerer(socket: Reply, tries = 100): Promise<void> {
  try {
    await socket.bind('inproc://zeromq.zap.01');
  } catch (error) {
    if (tries === 0) throw error;
    await sleep(20);
    await bindAnswerer(socket, tries - 1);
  }
}

async function answerRequests(socket: Reply): Promise<void> {
  for await (const [version, id, domain, , , mechanism, key] of socket) {
    const known =
      mechanism?.toString() === 'CURVE' &&
      key !== undefined &&
      admitted.get(domain?.toString() ?? '')?.has(z85(key)) === true;
    await socket.send([version ?? '1.0', id ?? '', known ? '200' : '400', known ? 'OK' : 'unknown key', '', '']);
  }
}

function dismiss(domain: string): void {
  if (!admitted.delete(domain) || admitted.size > 0) return;
  answerer?.socket.close();
  answerer = undefined;
}

/** A fresh pair, Z85. */
export function makeKeyPair(): { public_key: string; secret_key: string } {
  const { publicKey, secretKey } = curveKeyPair();
  return { public_key: publicKey, secret_key: secretKey };
}

function receive(
  socket: Router,
  onMessage: (peer: string, envelope: unknown, buffers: readonly Uint8Array[]) => void,
): { started: Promise<void> } {
  void (async () => {
    for await (const [peer, envelope, ...buffers] of socket) {
      if (peer !== undefined) onMessage(peer.toString(), decode(envelope), buffers);
    }
  })().catch(() => {}); // the iterator ends with the socket
  return { started: Promise.resolve() };
}

function decode(frame: Buffer | undefined): unknown {
  try {
    return JSON.parse(frame?.toString('utf8') ?? '');
  } catch {
    return undefined;
  }
}
