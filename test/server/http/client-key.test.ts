import { expect, it } from 'vitest';
import { hashKey, isVisible, newKey, SCOPES, visibleOwner } from '../../../src/server/http/client-key.js';

it('makes keys of 256 random bits that are valid in a header', () => {
  const keys = Array.from({ length: 100 }, newKey);
  expect(new Set(keys).size).toBe(100);
  for (const key of keys) {
    expect(key).toMatch(/^qa_[\w-]{43}$/);
    expect(Buffer.from(key.slice(3), 'base64url')).toHaveLength(32);
  }
});

it('hashes a key with SHA-256, always to the same value', () => {
  expect(hashKey('abc').toString('hex')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  expect(hashKey('abc').equals(hashKey('abd'))).toBe(false);
});

it('has the scopes that stored keys name', () => {
  expect(SCOPES).toEqual(['score', 'jobs', 'train', 'admin']);
});

it('shows each client only its own entries, and admin everything', () => {
  const ann = { id: 'key_1', name: 'ann', scopes: ['jobs'] } as const;
  const admin = { id: 'key_2', name: 'root', scopes: ['admin'] } as const;
  expect([visibleOwner(ann), visibleOwner(admin)]).toEqual(['key_1', undefined]);
  expect([isVisible({ owner: 'key_1' }, ann), isVisible({ owner: 'ann' }, ann)]).toEqual([true, false]);
  expect(isVisible({ owner: 'key_3' }, admin)).toBe(true);
});
