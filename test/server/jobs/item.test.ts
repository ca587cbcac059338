import { expect, it } from 'vitest';
import { QalignError } from '../../../src/base/errors.js';
import { parseConfig } from '../../../src/config/load.js';
import { ServeConfig } from '../../../src/config/serve.js';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import { createItemScorer, type ItemScorerParts } from '../../../src/server/jobs/item.js';

it('waits while no file can be opened, instead of reporting the item as failed', async () => {
  const waits: string[] = [];
  let calls = 0;
  const score = async (): Promise<unknown[]> => {
    calls += 1;
    if (calls > 1) return ['scored'];
    const cause = Object.assign(new Error('too many open files'), { code: 'EMFILE' });
    throw new QalignError('MEDIA_UNREADABLE', 'No file can be opened.', { cause: new Error('opening', { cause }) });
  };
  const scoreItem = createItemScorer({
    config: parseConfig(ServeConfig, '', 'the test', []),
    models: { get: () => ({ score }) },
    plan: { tasks: ['quality'], scale: 'mos5', prompt: undefined, model: 'nano', fingerprint: '' },
    storage: { spool: '', memory: { take: () => true, give() {}, used: 0 } },
    traces: {},
    traced: undefined,
    signal: new AbortController().signal,
    onWait: (reason: string) => waits.push(reason),
  } as unknown as ItemScorerParts);
  const outcomes = scoreItem({ index: 0, item: { base64: EXAMPLE_PICTURE } }).catch((error: unknown) => error);
  await outcomes;
  expect([calls, waits]).toEqual([2, ['No file can be opened.']]);
});
