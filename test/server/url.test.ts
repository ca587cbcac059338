import { createServer, type Server } from 'node:http';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../src/package-root.js';
import { isFailure } from '../../src/recipes/result.js';
import type { ServiceError } from '../../src/server/client.js';
import { startService, withoutPython, type TestService } from './start-service.js';

let site: Server;
let url: string;
beforeAll(async () => {
  const picture = await readFile(join(packageRoot, 'test/fixtures/pictures/pristine.jpg'));
  site = createServer((req, res) => {
    if (req.url === '/away') res.writeHead(302, { Location: 'http://169.254.169.254/latest/meta-data' }).end();
    else res.end(picture);
  });
  await new Promise<void>((done) => site.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
});
afterAll(() => new Promise<void>((done) => void site.close(() => done())));

const codeOf = async (service: TestService, address: string): Promise<string> => service.client.score([{ url: address }]).then(({ scored }) => `scored ${scored}`, (error: unknown) => (error as ServiceError).code);

it('fetches what it may: never by default, never loopback, never where a redirect leads to metadata', async () => {
  const [closed, open, here] = await Promise.all([
    startService([], withoutPython),
    startService(['allow_urls=true'], withoutPython),
    startService(['allow_urls=true'], { ...withoutPython, isAllowedAddress: (address) => address === '127.0.0.1' }),
  ]);
  try {
    expect(await codeOf(closed, `${url}/a.jpg`)).toBe('MEDIA_URL_FORBIDDEN');
    expect(await codeOf(open, `${url}/a.jpg`)).toBe('MEDIA_URL_FORBIDDEN');
    expect(await codeOf(open, 'http://localhost:1/a.jpg')).toBe('MEDIA_URL_FORBIDDEN');
    expect(await codeOf(open, 'file:///etc/passwd')).toBe('MEDIA_URL_FORBIDDEN');
    expect(await codeOf(here, `${url}/a.jpg`)).toBe('scored 1');
    expect(await codeOf(here, `${url}/away`)).toBe('MEDIA_URL_FORBIDDEN');
    const { id } = await here.client.jobs.create(`${url}/a.jpg\n${url}/away\n`);
    await here.client.jobs.wait(id);
    const outcomes: string[] = [];
    for await (const outcome of here.client.jobs.results(id)) outcomes.push(isFailure(outcome) ? outcome.error.code : 'scored');
    expect(outcomes).toEqual(['scored', 'MEDIA_URL_FORBIDDEN']);
  } finally {
    await Promise.all([closed.close(), open.close(), here.close()]);
  }
});
