import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import openapiTypes, { astToString, type OpenAPI3 } from 'openapi-typescript';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { EXAMPLE_PICTURE } from '../../src/media/probe-picture.js';
import { startService, withoutPython } from './start-service.js';

const run = promisify(execFile);

/** A user's program against the generated types, without the qalign package. */
const PROGRAM = `
import type { components, paths, webhooks } from './api.js';

type Answer<Path extends keyof paths, Method extends keyof paths[Path], Status extends number> =
  paths[Path][Method] extends { responses: infer Responses }
    ? Status extends keyof Responses
      ? Responses[Status] extends { content: { 'application/json': infer Body } } ? Body : never
      : never
    : never;
type Body<Path extends keyof paths> =
  paths[Path] extends { post: { requestBody: { content: { 'application/json': infer Sent } } } } ? Sent : never;

const url = process.argv[2] as string;
async function post<Path extends keyof paths>(path: Path, body: Body<Path>): Promise<Response> {
  const headers = { 'Content-Type': 'application/json' };
  return fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
}

const items = [{ id: 'mine', base64: '${EXAMPLE_PICTURE}' }] satisfies components['schemas']['ItemSource'][];
const scored = (await (await post('/v1/score', { items, scale: 'percent' })).json()) as Answer<'/v1/score', 'post', 200>;
const result = scored.items[0]?.results[0];
if (result === undefined || !('score' in result)) throw new Error('no score');
const score: number = result.score;

const job = (await (await post('/v1/jobs', { items, tasks: ['quality'] })).json()) as Answer<'/v1/jobs', 'post', 202>;
const status: 'queued' | 'running' | 'waiting' | 'completed' | 'cancelled' | 'failed' = job.status;

const refused = await post('/v1/compare', { items: [...items, ...items], prompt: 'unknown' });
const { error } = (await refused.json()) as components['schemas']['ErrorAnswer'];

type Message = webhooks['job_ended']['post']['requestBody']['content']['application/json'];
const type: Message['type'] = 'job.completed';

// @ts-expect-error there is no such scale
void post('/v1/score', { items, scale: 'stars' }).catch(() => {});
console.log(JSON.stringify({ score, scale: result.scale, status, code: error.code, type }));
`;

it('the types that openapi-typescript generates from /openapi.json compile, and a program with them works', async () => {
  const service = await startService([], withoutPython);
  // in the checkout, where the compiler finds the types of Node
  const folder = await mkdtemp(join(packageRoot, 'node_modules', '.openapi-types-'));
  try {
    const document = (await (await fetch(`${service.url}/openapi.json`)).json()) as OpenAPI3;
    await writeFile(join(folder, 'api.ts'), astToString(await openapiTypes(document)));
    await writeFile(join(folder, 'program.ts'), PROGRAM);
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    const options =
      '--strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --module nodenext --target es2022';
    const tsc = join(packageRoot, 'node_modules/typescript/bin/tsc');
    const files = [join(folder, 'program.ts'), '--outDir', join(folder, 'out'), '--rootDir', folder];
    await run(process.execPath, [tsc, ...options.split(' '), '--types', 'node', '--ignoreConfig', ...files]).catch(
      ({ stdout }: { stdout: string }) => expect.fail(stdout.slice(0, 5_000)),
    );
    const { stdout } = await run(process.execPath, [join(folder, 'out/program.js'), service.url]);
    expect(JSON.parse(stdout)).toEqual({
      score: expect.any(Number) as number,
      scale: 'percent',
      status: expect.stringMatching(/queued|running|completed/) as string,
      code: 'CONFIG_NOT_FOUND',
      type: 'job.completed',
    });
  } finally {
    await service.close();
    await rm(folder, { recursive: true, force: true });
  }
});
