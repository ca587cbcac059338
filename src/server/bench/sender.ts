import { connect, type Socket } from 'node:net';

/** The parts of an answer that the measurement needs. */
export interface Reply {
  readonly status: number;
  /** Retry-After in seconds, NaN where the header is missing. */
  readonly retryAfterS: number;
}

/**
 * Keep-alive connections with one request at a time on each, and little work per request. A request is one write of
 * prepared bytes, and only the head of an answer is parsed. Node's own client costs 0.5 ms per request. At ten times
 * the capacity of a service, it would be the bottleneck of the measurement.
 */
export interface Sender {
  /** Rejects with the error code of the socket, such as ECONNRESET. */
  send(request: Buffer): Promise<Reply>;
  close(): void;
}

const HEAD_END = '\r\n\r\n';

export function createSender(url: string): Sender {
  const { hostname, port } = new URL(url);
  const idle: Connection[] = [];
  const all = new Set<Connection>();

  const open = (): Connection => {
    const one = new Connection(
      connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), noDelay: true }),
      () => {
        all.delete(one);
        const at = idle.indexOf(one);
        if (at >= 0) idle.splice(at, 1);
      },
    );
    all.add(one);
    return one;
  };
  return {
    async send(request) {
      const connection = idle.pop() ?? open();
      const reply = await connection.ask(request);
      if (connection.isOpen) idle.push(connection);
      return reply;
    },
    close() {
      for (const { socket } of all) socket.destroy();
    },
  };
}

class Connection {
  isOpen = true;
  #head = '';
  /** Bytes of the body that are still missing; undefined while the head is read. */
  #left: number | undefined;
  #reply: Reply | undefined;
  #open: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined;

  constructor(
    readonly socket: Socket,
    onClose: () => void,
  ) {
    let reason: Error | undefined;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) => (reason = error));
    socket.on('close', () => {
      this.isOpen = false;
      onClose();
      this.#open?.reject(
        reason ?? Object.assign(new Error('the service closed the connection'), { code: 'ECONNRESET' }),
      );
    });
  }

  ask(request: Buffer): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#open = { resolve, reject };
      this.socket.write(request);
    });
  }

  #read(chunk: Buffer): void {
    let body = chunk.length;
    if (this.#left === undefined) {
      const before = this.#head.length;
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf(HEAD_END);
      if (end < 0) return;
      body = before + chunk.length - end - HEAD_END.length;
      this.#readHead(this.#head.slice(0, end));
    }
    this.#left = (this.#left ?? 0) - body;
    if (this.#left > 0) return;
    const [open, reply] = [this.#open, this.#reply];
    [this.#head, this.#left, this.#reply, this.#open] = ['', undefined, undefined, undefined];
    if (reply !== undefined) open?.resolve(reply);
  }

  #readHead(head: string): void {
    this.#left = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    this.#reply = {
      status: Number(head.slice(9, 12)),
      retryAfterS: Number(/\r\nretry-after: *(\d+)/i.exec(head)?.[1] ?? NaN),
    };
    if (!/\r\nconnection: *close/i.test(head)) return;
    this.isOpen = false;
    this.socket.end();
  }
}
