import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { ipKeyGenerator } from 'express-rate-limit';

/** Prefix length in bits of the IPv6 network that one host has. */
const IPV6_BITS = 64;

/** Closes new connections of an address that has `most` open connections. One address cannot shut out the others. */
export function limitConnections(server: Server, most: number, onRefused: () => void): void {
  const open = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const address = ipKeyGenerator(socket.remoteAddress ?? '', IPV6_BITS);
    const count = (open.get(address) ?? 0) + 1;
    if (count > most) {
      onRefused();
      return void socket.destroy();
    }
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
  });
}
