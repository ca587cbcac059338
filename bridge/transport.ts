import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { curveKeyPair, Reply, Router } from 'zeromq';
import { isLoopback, z85, type HeadKeys } from './keys.js';
import { QalignError } from './qalign-error.js';
import { isAlive } from './process.js';

/** sun_path holds 108 bytes, the last of them NUL. */
const LONGEST_PATH = 107;
/** Messages, not bytes: the net under the credits. */
const HIGH_WATER_MARK = 64;
const LINGER_MS = 1000;
const HEARTBEAT_MS = 2000;

export interface Transport {
  readonly endpoint: string;
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
  const { socket, endpoint, release } = await (listen === undefined ? bindPrivately() : bindTcp(listen));
  const received = receive(socket, onMessage);
  let last: Promise<unknown> = received.started;
  return {
    endpoint,
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
      release();
    },
  };
}

interface Bound {
  readonly socket: Router;
  readonly endpoint: string;
  readonly release: () => void;
}

const OPTIONS = {
  mandatory: true,
  linger: LINGER_MS,
  sendHighWaterMark: HIGH_WATER_MARK,
  receiveHighWaterMark: HIGH_WATER_MARK,
} as const;

async function bindPrivately(): Promise<Bound> {
  sweepStale();
  const folder = privateFolder();
  const endpoint = `ipc://${join(folder, 'bridge')}`;
  const release = (): void => rmSync(folder, { recursive: true, force: true });
  const socket = new Router(OPTIONS);
  try {
    await socket.bind(endpoint);
  } catch (error) {
    release();
    throw new QalignError(
      'WORKER_START_FAILED',
      `The bridge cannot listen on ${endpoint} (${(error as Error).message}); set TMPDIR to a folder that can be written.`,
      { cause: error },
    );
  }
  return { socket, endpoint, release };
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
  return { socket, endpoint: socket.lastEndpoint ?? address, release: () => dismiss(domain) };
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

/** A 0700 folder whose name says whose it is, so that the next start can tell what a killed process left. */
function privateFolder(): string {
  const name = `qalign-${process.pid}-`;
  const folder = madeIn(tmpdir(), name);
  if (Buffer.byteLength(join(folder, 'bridge')) <= LONGEST_PATH) return folder;
  rmSync(folder, { recursive: true });
  return madeIn('/tmp', name);
}

function madeIn(root: string, name: string): string {
  try {
    return mkdtempSync(join(root, name));
  } catch (cause) {
    throw new QalignError(
      'OUTPUT_UNWRITABLE',
      `No folder for the socket of the workers can be made in ${root} (${(cause as Error).message}); set TMPDIR to one that can be written.`,
      { cause },
    );
  }
}

/** Removes the socket folders of processes that are gone. */
function sweepStale(): void {
  for (const root of new Set([tmpdir(), '/tmp'])) {
    for (const name of listed(root)) {
      const pid = Number(/^qalign-(\d+)-\w{6}$/.exec(name)?.[1]);
      if (pid > 0 && !isAlive(pid)) rmSync(join(root, name), { recursive: true, force: true });
    }
  }
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
