import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

interface FakeJob {
  status: string;
  message: string;
  /** The log, as Ray sends it: in pieces that need not end with a line. */
  pieces: string[];
}

/** The Jobs API of a head without Ray: jobs change only when a test changes them. */
export interface FakeHead {
  readonly url: string;
  readonly jobs: Map<string, FakeJob>;
  readonly packages: Map<string, Buffer>;
  /** Method and path of each request. */
  readonly asked: string[];
  /** The bodies of submitted jobs. */
  readonly submitted: Record<string, unknown>[];
  /** Called when a job is submitted. */
  onSubmit: (id: string) => void;
  /** Called after the log was sent; the connection is then closed. */
  onTail: (id: string) => void;
  close(): Promise<void>;
}

export async function startFakeHead(token?: string): Promise<FakeHead> {
  const sockets = new Set<Duplex>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { status, body = '' } = answer(request, Buffer.concat(chunks));
      response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  });
  const isAllowed = ({ headers }: IncomingMessage): boolean =>
    token === undefined || headers.authorization === `Bearer ${token}`;

  function answer(request: IncomingMessage, bytes: Buffer): { status: number; body?: object | string } {
    const { method = '', url = '', headers } = request;
    head.asked.push(`${method} ${url}`);
    if (!isAllowed(request)) return { status: 401, body: 'Unauthorized' };
    // Ray refuses the headers of browsers
    if (headers['sec-fetch-mode'] !== undefined) return { status: 405 };
    if (url === '/api/version') return { status: 200, body: { ray_version: '2.60.0' } };
    const stored = /^\/api\/packages\/gcs\/(.+)$/.exec(url)?.[1];
    if (stored !== undefined && method === 'PUT') head.packages.set(stored, bytes);
    if (stored !== undefined) return { status: head.packages.has(stored) ? 200 : 404 };
    if (method === 'POST' && url === '/api/jobs/')
      return submit(JSON.parse(bytes.toString()) as Record<string, unknown>);
    const [, id = '', action] = /^\/api\/jobs\/([^/]+)(\/stop)?$/.exec(url) ?? [];
    const job = head.jobs.get(id);
    if (job === undefined) return { status: 404, body: `Job ${id} does not exist` };
    if (action !== undefined) job.status = 'STOPPED';
    return { status: 200, body: { status: job.status, message: job.message } };
  }

  function submit(body: Record<string, unknown>): { status: number; body: object | string } {
    const id = body['submission_id'] as string;
    if (head.jobs.has(id)) return { status: 500, body: 'Traceback …\nValueError: a job with this id exists' };
    head.submitted.push(body);
    head.jobs.set(id, { status: 'RUNNING', message: '', pieces: [] });
    head.onSubmit(id);
    return { status: 200, body: { submission_id: id } };
  }

  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    const id = /^\/api\/jobs\/([^/]+)\/logs\/tail$/.exec(request.url ?? '')?.[1] ?? '';
    if (!isAllowed(request)) return void socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
    // the dashboard of Ray sends nothing over a compressed connection
    const isCompressed = request.headers['sec-websocket-extensions'] !== undefined;
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.on('error', () => {});
    socket.resume();
    sockets.add(socket);
    if (!isCompressed) for (const piece of head.jobs.get(id)?.pieces ?? []) socket.write(frame(1, Buffer.from(piece)));
    head.onTail(id);
    socket.end(frame(8, Buffer.from([3, 232])));
  });

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const head: FakeHead = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    jobs: new Map(),
    packages: new Map(),
    asked: [],
    submitted: [],
    onSubmit: () => {},
    onTail: () => {},
    async close() {
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await once(server.close(), 'close');
    },
  };
  return head;
}

/** A frame of a server: not masked, and whole. */
function frame(kind: number, bytes: Buffer): Buffer {
  const start =
    bytes.length < 126 ? [0x80 | kind, bytes.length] : [0x80 | kind, 126, bytes.length >> 8, bytes.length & 255];
  return Buffer.concat([Buffer.from(start), bytes]);
}
