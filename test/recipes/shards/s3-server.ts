/** A real S3 server (moto) and a proxy before it that answers 503 or cuts answers on request. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { probePython } from '../../../src/engine/python/probe.js';
import { installPins } from '../../setup/python.js';

const START = `
from moto.server import ThreadedMotoServer
import sys
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
`;

/** The folder of the packages of moto, or the reason why they are missing. */
export async function motoPackages(executable: string): Promise<string | Error> {
  const probe = await probePython(executable, ['moto']);
  if (probe === undefined) return new Error(`${executable} does not answer`);
  return installPins('s3-test', executable, probe).catch((error: Error) => error);
}

export interface TestServer {
  readonly url: string;
  stop(): Promise<void>;
}

export async function startMoto(executable: string, packages: string): Promise<TestServer> {
  const child = spawn(executable, ['-c', START], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, PYTHONPATH: packages },
  });
  const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      const ended = once(child, 'exit');
      child.stdin.end();
      const late = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(late);
    },
  };
}

/** What a proxy does with a request, by its number from 0 and its method: pass it, answer 503, or cut the answer. */
export type Trouble = (number: number, method: string, path: string) => 'pass' | '503' | 'cut';

export async function startProxy(target: string, trouble: Trouble): Promise<TestServer & { readonly seen: string[] }> {
  const seen: string[] = [];
  const server: Server = createServer((incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming;
    const what = trouble(seen.length, method, url);
    seen.push(`${method} ${what}`);
    if (what === '503') {
      incoming.resume();
      outgoing.writeHead(503, { 'content-type': 'application/xml' });
      outgoing.end('<Error><Code>SlowDown</Code><Message>later</Message></Error>');
      return;
    }
    const onward = request(`${target}${url}`, { method, headers }, (answer) => pass(answer, outgoing, what === 'cut'));
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A cut answer ends in the middle of its bytes. */
function pass(answer: IncomingMessage, outgoing: ServerResponse, isCut: boolean): void {
  outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
  if (!isCut) {
    answer.pipe(outgoing);
    return;
  }
  const half = Math.floor(Number(answer.headers['content-length'] ?? 0) / 2);
  let sent = 0;
  answer.on('data', (chunk: Buffer) => {
    const part = chunk.subarray(0, Math.max(0, half - sent));
    sent += part.length;
    outgoing.write(part, () => {
      if (sent >= half) outgoing.destroy();
    });
  });
}
