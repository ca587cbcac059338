/** Parts of odd requests: values, texts, paths, queries and pictures that a client should not send. */
import { deflateSync } from 'node:zlib';
import { pick } from './ledger.js';

export type Random = () => number;

export const heads = (method: string, path: string, more = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n`;

export const randomBytes = (random: Random, length: number): Buffer =>
  Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));

const WORDS = [
  '',
  'é',
  '\u0000',
  '\ud800',
  '\u202e',
  '../',
  '%2e',
  'a'.repeat(3000),
  '😀',
  "' OR 1=1",
  '${x}',
  '\r\nX: 1',
];
export const oddText = (random: Random): string => Array.from({ length: 3 }, () => pick(random, WORDS)).join('');

const NUMBERS = [-1, 0, 1e308, 2 ** 53, -0.5, 1e-320, 29635877977629175144513536];
export const oddValue = (random: Random): unknown =>
  pick<() => unknown>(random, [
    () => null,
    () => true,
    () => pick(random, NUMBERS),
    () => oddText(random),
    () => [],
    () => [[[]]],
    () => ({ a: { b: null } }),
    () => Array<number>(200).fill(0),
  ])();

const STARTS = ['/v1/jobs/', '/v1/score', '/v1/models/', '/', '//', '/v1/../', '/docs/', '/v1/train_runs/', '*', '/%'];
/** No spaces or line ends: those make another request. */
export function oddPath(random: Random): string {
  const end = pick(random, [
    '',
    '%00',
    '%ff%fe',
    '..%2f..%2fetc',
    '\\..',
    ';a=b',
    '?'.repeat(50),
    'a/'.repeat(900),
    '%',
  ]);
  return pick(random, STARTS) + end + String.fromCharCode(33 + Math.floor(random() * 90));
}

const QUERIES = ['offset', 'limit', 'status', 'offset[]', '__proto__', 'constructor', 'a'];
const QUERY_VALUES = [
  '-1',
  '1e400',
  '9007199254740993',
  '29635877977629175144513536',
  '0x10',
  '%00',
  'NaN',
  'Infinity',
  '',
  '1,2',
];
export const oddQuery = (random: Random): string =>
  `?${Array.from({ length: 2 }, () => `${pick(random, QUERIES)}=${pick(random, QUERY_VALUES)}`).join('&')}`;

const MAGIC = [
  '\x89PNG\r\n\x1a\n',
  '\xff\xd8\xff\xe0',
  'GIF89a',
  'RIFF0000WEBPVP8 ',
  'II*\0',
  'BM',
  '\0\0\0\x18ftypheic',
  'P6\n',
];
/** Random bytes behind the first ones of a format, cut and changed pictures, and sizes that are not there. */
export function picturesOf(random: Random, real: Buffer): Buffer[] {
  const changed = Buffer.from(real);
  for (let i = 0; i < 20; i++) changed[Math.floor(random() * changed.length)] = Math.floor(random() * 256);
  return [
    Buffer.concat([Buffer.from(pick(random, MAGIC), 'latin1'), randomBytes(random, 500)]),
    real.subarray(0, Math.floor(random() * real.length)),
    changed,
    Buffer.alloc(0),
    pngOf(pick(random, [0, 1, 20_000, 2 ** 31 - 1])),
    gifOf(pick(random, [1, 4000, 65_535])),
  ];
}

/** A PNG that says that it is so wide and high, with no more pixels than a line of 4096. */
function pngOf(side: number): Buffer {
  const size = Buffer.alloc(13);
  size.writeUInt32BE(side, 0);
  size.writeUInt32BE(side, 4);
  size.set([8, 2], 8);
  const part = (name: string, data: Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    return Buffer.concat([length, Buffer.from(name), data, Buffer.alloc(4)]); // with a wrong checksum
  };
  const pixels = deflateSync(Buffer.alloc(4096 * 3));
  return Buffer.concat([
    Buffer.from(MAGIC[0] as string, 'latin1'),
    part('IHDR', size),
    part('IDAT', pixels),
    part('IEND', Buffer.alloc(0)),
  ]);
}

/** A GIF that says that it is so wide and high. */
function gifOf(side: number): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt16LE(side, 0);
  size.writeUInt16LE(side, 2);
  return Buffer.concat([
    Buffer.from('GIF89a'),
    size,
    Buffer.from([0x80, 0, 0, 0, 0, 0, 255, 255, 255, 0x2c, 0, 0, 0, 0]),
    size,
    Buffer.from([0, 2, 2, 0x4c, 1, 0, 0x3b]),
  ]);
}
