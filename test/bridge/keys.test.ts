import { describe, expect, it } from 'vitest';
import { HeadKeys, isLoopback, z85 } from '../../bridge/keys.js';
import { makeKeyPair } from '../../bridge/transport.js';
import { problemWith } from '../../bridge/validate.js';

describe('z85', () => {
  it('writes the example of ZeroMQ RFC 32', () => {
    expect(z85(Uint8Array.of(0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b))).toBe('HelloWorld');
  });

  it('reads a part of a larger buffer', () => {
    const inside = new Uint8Array([1, 2, 0x86, 0x4f, 0xd2, 0x6f, 9]).subarray(2, 6);
    expect(z85(inside)).toBe('Hello');
  });
});

it('new key pairs are accepted by Node, and all differ', () => {
  const [head, worker] = [makeKeyPair(), makeKeyPair()];
  expect(problemWith(HeadKeys, { ...head, allowed_keys: [worker.public_key] })).toBeUndefined();
  expect(problemWith(HeadKeys, { ...head, allowed_keys: [] })).toContain('/allowed_keys');
  expect(problemWith(HeadKeys, { ...head, allowed_keys: [worker.public_key.slice(1)] })).toContain('/allowed_keys/0');
  expect(new Set([head.public_key, head.secret_key, worker.public_key, worker.secret_key]).size).toBe(4);
});

it.each([
  ['tcp://127.0.0.1:5555', true],
  ['tcp://127.8.9.10:*', true],
  ['tcp://[::1]:5555', true],
  ['tcp://localhost:5555', true],
  ['tcp://0.0.0.0:5555', false],
  ['tcp://10.127.0.1:5555', false],
  ['tcp://localhost.example.org:5555', false],
])('isLoopback of %s is %s', (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});
