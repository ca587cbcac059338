import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { QalignError } from '../base/errors.js';
import type { FloodGuard } from './http/flood-guard.js';
import { closeWithConnection } from './pipelined.js';

/** Address and limits of a listener. */
export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Maximum number of open connections. */
  readonly connections: number;
  /** Time for the headers of a request to arrive; connections are checked every `checkMs`. */
  readonly headersMs?: number;
  readonly checkMs?: number;
}

type Handlers = Pick<FloodGuard, 'handle'> & Partial<Pick<FloodGuard, 'handleExpecting'>>;

/** Creates a server that does not listen yet. */
export function openServer(
  { handle, handleExpecting }: Handlers,
  { connections, headersMs = 10_000, checkMs = 5_000 }: ListenerOptions,
): Server {
  const server = createServer(
    {
      requestTimeout: 300_000,
      headersTimeout: headersMs,
      keepAliveTimeout: 65_000,
      connectionsCheckingInterval: checkMs,
    },
    handle,
  );
  if (handleExpecting !== undefined) server.on('checkContinue', handleExpecting);
  closeWithConnection(server);
  server.maxConnections = connections;
  return server;
}

/** @param choose how the user names another port. @throws QalignError CONFIG_INVALID */
export function listen(server: Server, { host, port, connections }: ListenerOptions, choose = 'port=N'): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      fail(
        new QalignError(
          'CONFIG_INVALID',
          `The address ${host}:${port} ${taken ? `is in use; choose another with ${choose}` : `cannot be listened on (${cause.code ?? cause.message})`}.`,
          { cause },
        ),
      );
    });
    server.listen({ port, host, backlog: connections }, done);
  });
}

export function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
