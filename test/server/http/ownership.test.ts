import { expect, it } from 'vitest';
import { isVisible, visibleOwner } from '../../../src/server/http/ownership.js';

it('shows a client what is its own, and admin everything', () => {
  const ann = { name: 'ann', scopes: ['jobs'] } as const;
  const admin = { name: 'root', scopes: ['admin'] } as const;
  expect([visibleOwner(ann), visibleOwner(admin)]).toEqual(['ann', undefined]);
  expect([isVisible({ owner: 'ann' }, ann), isVisible({ owner: 'bob' }, ann)]).toEqual([true, false]);
  expect(isVisible({ owner: 'bob' }, admin)).toBe(true);
});
