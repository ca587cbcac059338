/** Clients that disconnect in every phase of a request, and invalid requests. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pick } from './ledger.js';

const PHASES = ['connect', 'headers', 'body', 'waiting', 'reading', 'events'] as const;
const ODD = [
  'GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
  'POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{]',
  'POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/odd\r\nContent-Length: 1\r\n\r\na',
  'DELETE /v1/jobs/../../etc HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
  'GET /v1/jobs?offset=99999999999999999999 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
  'POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n',
  '\u0000\u0001\u0002\r\n\r\n',
];

/** One client that disconnects, and some unusual requests. */
export async function oddClients(port: number, picture: string, random: () => number): Promise<string> {
  const phase = pick(random, PHASES);
  await Promise.all([
    lose(port, phase, picture),
    ...Array.from({ length: 5 }, () => exchange(port, pick(random, ODD))),
  ]);
  return phase;
}

async function lose(port: number, phase: (typeof PHASES)[number], picture: string): Promise<void> {
  const body = JSON.stringify({ items: Array.from({ length: 16 }, (_, i) => ({ id: `${i}`, path: picture })) });
  const head = (length: number): string =>
    `POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/x-ndjson\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n`;
  const texts: Readonly<Record<typeof phase, string>> = {
    connect: '',
    headers: head(body.length),
    body: `${head(body.length)}\r\n${body.slice(0, 40)}`,
    waiting: `${head(body.length)}\r\n${body}`,
    reading: `${head(body.length)}\r\n${body}`,
    events: 'GET /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
  };
  const socket = await open(port);
  if (socket === undefined) return;
  socket.write(texts[phase]);
  if (phase === 'reading') await Promise.race([new Promise((resolve) => socket.once('data', resolve)), sleep(5000)]);
  else if (phase === 'events') await followEvents(socket);
  else await sleep(phase === 'waiting' ? 30 : 200);
  socket.destroy();
}

/** Requests the events of the newest job on the same connection, and reads the first of them. */
async function followEvents(socket: Socket): Promise<void> {
  const text = await Promise.race([
    new Promise<string>((resolve) => socket.once('data', (data: Buffer) => resolve(data.toString()))),
    sleep(3000, ''),
  ]);
  const id = /job_[0-9a-f]{24}/.exec(text)?.[0];
  if (id === undefined) return;
  socket.write(`GET /v1/jobs/${id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n`);
  await Promise.race([new Promise((resolve) => socket.once('data', resolve)), sleep(3000)]);
}

async function exchange(port: number, text: string): Promise<void> {
  const socket = await open(port);
  if (socket === undefined) return;
  socket.write(text);
  await Promise.race([new Promise((resolve) => socket.once('data', resolve)), sleep(3000)]);
  socket.destroy();
}

function open(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.on('error', () => resolve(undefined));
  });
}
