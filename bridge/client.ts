/** bridge/ sends messages to workers and manages their processes. Nothing here knows about src, models or scores. */
import { randomBytes } from 'node:crypto';
import { DEFAULT_BRIDGE_LIMITS } from './limits.js';
import { Link, type WorkerLink, type WorkerOptions } from './link.js';
import { bindTransport, type Listen } from './transport.js';
import { compileMessages } from './validate.js';
import { createWaitingWorkers, REMOTE_TOKEN } from './waiting-workers.js';
import { distantProcess, startWorkerProcess, WORKER, type WorkerProcess } from './worker-process.js';

export type { BridgeLimits } from './limits.js';
export type { RequestOptions, WireLog, WorkerLink, WorkerOptions } from './link.js';

export interface Bridge {
  readonly endpoint: string;
  startWorker(options: WorkerOptions): Promise<WorkerLink>;
  /** Stops all workers and removes the socket. */
  close(): Promise<void>;
}

/** Binds the socket to which workers connect: local workers that it starts, or with `listen` workers on other hosts. */
export async function openBridge(listen?: Listen): Promise<Bridge> {
  const links = new Map<string, Link>();
  const waiting = createWaitingWorkers();
  const transport = await bindTransport((peer, envelope) => {
    const anew = waiting.isHello(envelope) && links.get(peer)?.greeted === true;
    // the same worker after a lost connection: its earlier requests are lost
    if (anew) links.get(peer)?.breakOff();
    const link = links.get(peer);
    if (link !== undefined) link.receive(envelope);
    else if (listen !== undefined) waiting.add(peer, envelope);
  }, listen);
  let started = 0;
  const enlist = (identity: string, link: Link): Link => {
    links.set(identity, link);
    void link.lost.then(() => links.get(identity) === link && links.delete(identity));
    return link;
  };
  return {
    get endpoint() {
      return transport.endpoint;
    },
    async startWorker(options) {
      if (listen === undefined) {
        await transport.mend();
        const [identity, token] = [
          `worker-${started++}-${randomBytes(6).toString('hex')}`,
          randomBytes(16).toString('hex'),
        ];
        const link = enlist(
          identity,
          new Link(transport, identity, token, options, startProcess(transport.endpoint, identity, token, options)),
        );
        compileMessages(FIRST_MESSAGES); // the worker imports its packages meanwhile
        await link.ready(options.signal);
        return link;
      }
      const { peer, hello } = await waiting.next(
        { ...DEFAULT_BRIDGE_LIMITS, ...options.limits }.startMs,
        options.signal,
      );
      const link = enlist(
        peer,
        new Link(transport, peer, REMOTE_TOKEN, { ...options, device: hello.device }, distantProcess()),
      );
      link.receive(hello);
      await link.ready(options.signal);
      return link;
    },
    async close() {
      waiting.close();
      await Promise.all([...links.values()].map((link) => link.close()));
      transport.close();
    },
  };
}

/** The messages of a load and of the first score. */
const FIRST_MESSAGES = [
  ...['hello', 'ready', 'credit', 'log', 'progress', 'result'],
  ...['load_model_params', 'load_model_result', 'score_params', 'score_result'],
];

function startProcess(
  endpoint: string,
  identity: string,
  token: string,
  { python, device, module = WORKER, start = startWorkerProcess, log }: WorkerOptions,
): WorkerProcess {
  return start({
    python,
    endpoint,
    identity,
    token,
    device,
    module,
    onStderr: (line) => log?.('debug', line, { worker: identity }),
  });
}
