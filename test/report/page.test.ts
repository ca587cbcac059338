import { expect, it } from 'vitest';
import { page } from '../../src/report/page.js';

it('links to files with any characters in their names', () => {
  const links = ['data/a b#1?.jsonl', '../x/javascript:alert(1)', '100%.md'];
  const html = page({ title: 't', body: '', origin: { qalign: '1', commit: null, links } });
  expect([...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href)).toEqual([
    'data/a%20b%231%3F.jsonl',
    '../x/javascript%3Aalert(1)',
    '100%25.md',
  ]);
});
