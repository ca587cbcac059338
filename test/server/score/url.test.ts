import { createServer, type Server } from 'node:http';
import { readdir, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { isFailure } from '../../../src/api/result.js';
import type { ServiceError } from '../../../src/client/client.js';
import { startService, withoutPython, type TestService } from '../start-service.js';
import type { ScoreInput, ScoreOptions, Scorer } from '../../../src/recipes/score/scorer.js';

let site: Server;
let url: string;
beforeAll(async () => {
  const picture = await readFile(join(packageRoot, 'test/fixtures/pictures/pristine.jpg'));
  site = createServer((req, res) => {
    if (req.url === '/away') res.writeHead(302, { Location: 'http://169.254.169.254/latest/meta-data' }).end();
    else if (req.url === '/large') res.end(Buffer.concat([picture, Buffer.alloc(2 * 1024 ** 2)]));
    else res.end(picture);
  });
  await new Promise<void>((done) => site.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
});
afterAll(() => new Promise<void>((done) => void site.close(() => done())));

const codeOf = async (service: TestService, address: string): Promise<string> =>
  service.client.score([{ url: address }]).then(
    ({ scored }) => `scored ${scored}`,
    (error: unknown) => (error as ServiceError).code,
  );

it('fetches only allowed URLs: never by default, never loopback, never a redirect to cloud metadata', async () => {
  const [closed, open, here] = await Promise.all([
    startService([], withoutPython),
    startService(['allow_urls=true'], withoutPython),
    startService(['allow_urls=true'], { ...withoutPython, isAllowedAddress: (address) => address === '127.0.0.1' }),
  ]);
  let spooled = 0;
  const scorer = here.services.models.get();
  const score = scorer.score.bind(scorer);
  scorer.score = (async (input: ScoreInput, options?: ScoreOptions) => {
    if (
      typeof input === 'object' &&
      'media' in input &&
      typeof input.media === 'string' &&
      input.media.startsWith(here.services.spool)
    )
      spooled++;
    return score(input, options);
  }) as Scorer['score'];
  try {
    expect(await codeOf(closed, `${url}/a.jpg`)).toBe('MEDIA_URL_FORBIDDEN');
    expect(await codeOf(open, `${url}/a.jpg`)).toBe('MEDIA_URL_FORBIDDEN');
    expect(await codeOf(open, 'http://localhost:1/a.jpg')).toBe('MEDIA_URL_FORBIDDEN');
    expect(await codeOf(open, 'file:///etc/passwd')).toBe('MEDIA_URL_FORBIDDEN');
    expect(await codeOf(here, `${url}/a.jpg`)).toBe('scored 1');
    expect(await codeOf(here, `${url}/away`)).toBe('MEDIA_URL_FORBIDDEN');
    // larger than the memory limit of one file: it is stored on disk and then deleted
    expect(await codeOf(here, `${url}/large`)).toBe('scored 1');
    expect(spooled).toBe(1);
    expect(await readdir(here.services.spool)).toEqual([]);
    expect(here.services.memory.used).toBe(0);
    const { id } = await here.client.jobs.create(`${url}/a.jpg\n${url}/away\n`);
    await here.client.jobs.wait(id);
    const outcomes: string[] = [];
    for await (const outcome of here.client.jobs.results(id))
      outcomes.push(isFailure(outcome) ? outcome.error.code : 'scored');
    expect(outcomes).toEqual(['scored', 'MEDIA_URL_FORBIDDEN']);
  } finally {
    await Promise.all([closed.close(), open.close(), here.close()]);
  }
});
