import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { curveKeyPair, Reply, Router } from 'zeromq';
import { isLoopback, z85, type HeadKeys } from './keys.js';
import { QalignError } from './qalign-error.js';
import { makeSocketFolder, remakeSocketFolder, socketIdentity, socketIn, sweepSocketFolders } from './socket-folder.js';

/** In messages, not bytes. A safety limit in addition to the credits. */
const HIGH_WATER_MARK = 64;
const LINGER_MS = 1000;
const HEARTBEAT_MS = 2000;

export interface Transport {
  /** Can change after `mend`. */
  readonly endpoint: string;
  /**
   * Ensures that a worker can connect. Binds again if the socket file was deleted or replaced. @throws QalignError
   * OUTPUT_UNWRITABLE, WORKER_START_FAILED
   */
  mend(): Promise<void>;
  /**
   * Queues one message and resolves when ZeroMQ has accepted it. The buffers are not copied and must not be changed
   * afterwards. @throws QalignError WORKER_LOST for an unknown peer
   */
  send(peer: string, envelope: object, buffers?: readonly Uint8Array[]): Promise<void>;
  close(): void;
}

/** The address to which workers on other hosts connect. */
export interface Listen {
  /** `tcp://HOST:PORT`. Port `*` selects a free port. */
  readonly address: string;
  /** Required for every address except loopback. */
  readonly keys?: HeadKeys | undefined;
}

/**
 * Binds a ROUTER to a private ipc socket, or to the address of `listen`. Calls `onMessage` for every message with the
 * decoded envelope, or undefined if it is not JSON.
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
      // one pending send per socket: a second one throws EBUSY
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
      // the old listener stays, because closing it would close its accepted connections
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
      `The bridge cannot listen on ${endpoint} (${(error as Error).message}); set TMPDIR to a writable folder.`,
      { cause: error },
    );
  }
}

/**
 * Binds to tcp. CURVE and a list of keys authenticate a peer before any message is read. Heartbeats detect a lost host.
 */
async function bindTcp({ address, keys }: Listen): Promise<Bound> {
  if (!/^tcp:\/\/[^/]+:(\d+|\*)$/.test(address))
    throw new QalignError('CONFIG_INVALID', `The bridge cannot listen on ${address}; the format is tcp://HOST:PORT.`);
  if (keys === undefined && !isLoopback(address))
    throw new QalignError(
      'CONFIG_INVALID',
      `The bridge does not listen on ${address} without keys, because anybody could send it scores; create keys with "qalign workers keys".`,
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
      `The bridge cannot listen on ${address} (${(error as Error).message}); use an address of this host and a free port.`,
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
 * Allowed public keys by ZAP domain. libzmq sends authentication requests to one handler per process (RFC 27) for all
 * sockets. The handler is closed with the last socket.
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

/** Binds the handler. After a close, it takes a moment until the name is free. */
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

/** Creates a key pair in Z85. */
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
