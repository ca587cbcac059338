import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Closes every response of a connection that is closed. Node emits `close` only on the one that is being sent; those of
 * pipelined requests behind it would never learn that their client is gone.
 */
export function closeWithConnection(server: Server): void {
  const open = new WeakMap<Socket, Set<ServerResponse>>();
  server.on('connection', (socket: Socket) => {
    const responses = new Set<ServerResponse>();
    open.set(socket, responses);
    socket.once('close', () => process.nextTick(closeAll, responses)); // Node closes its one first
  });
  const remember = ({ socket }: IncomingMessage, res: ServerResponse): void => {
    const responses = open.get(socket);
    responses?.add(res);
    res.once('close', () => responses?.delete(res));
  };
  server.prependListener('request', remember).prependListener('checkContinue', remember);
}

function closeAll(responses: ReadonlySet<ServerResponse>): void {
  for (const res of responses) {
    res.destroyed = true;
    res.emit('close');
  }
}
