import { readFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import Type from 'typebox';
import { packageRoot } from '../../base/package-root.js';
import { QalignError } from '../../base/errors.js';
import type { ServeConfig } from '../../config/serve.js';
import { closed } from '../../api/error.js';
import type { Caller } from '../http/caller.js';
import { wantsGzip } from '../packed-answer.js';
import { defineRoute } from '../route.js';

export interface PageRouteServices {
  readonly config: Pick<ServeConfig, 'page'>;
}

/** Written by .config/page.ts. */
const FOLDER = join(packageRoot, 'dist', 'page');
/** Scripts, styles and requests only of this service; pictures and clips also from memory of the page. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript',
  css: 'text/css',
  html: 'text/html',
  txt: 'text/plain',
};

/** Shown only when the service runs from source. */
const NOT_BUILT =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>qalign</title><p>The page is not built: run "npm run build". The <a href="docs">API reference</a> works without it.</p></html>\n';

interface Content {
  readonly plain: Buffer;
  readonly packed: Buffer;
}
const kept = new Map<string, Content>();

function contentOf(name: string): Content {
  const known = kept.get(name);
  if (known !== undefined) return known;
  const file = join(FOLDER, name);
  const isThere = existsSync(file);
  if (!isThere && name !== 'index.html') throw new QalignError('ROUTE_NOT_FOUND', `The page has no file "${name}".`);
  const plain = isThere ? readFileSync(file) : Buffer.from(NOT_BUILT);
  const content = { plain, packed: gzipSync(plain) };
  if (name !== 'index.html') kept.set(name, content); // Their names change with their content.
  return content;
}

function send({ req, res }: Pick<Caller, 'req' | 'res'>, name: string, cache: string): void {
  const { plain, packed } = contentOf(name);
  res.type(TYPES[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream').set('Cache-Control', cache);
  if (wantsGzip(req, res)) res.set('Content-Encoding', 'gzip').send(packed);
  else res.send(plain);
}

function requirePage({ page }: PageRouteServices['config']): void {
  if (!page)
    throw new QalignError('ROUTE_NOT_FOUND', 'The page is turned off (page: false); /docs is the API reference.');
}

/** Sends the page in the mode of "qalign view". */
export function sendPage({ res }: Pick<Caller, 'res'>, view: string): void {
  const html = contentOf('index.html').plain.toString();
  res.set('Content-Security-Policy', POLICY).set('Cache-Control', 'no-cache').type('text/html');
  res.send(html.replace('<div id="page">', `<div id="page" data-view="${view}">`));
}

const pageStart = defineRoute({
  method: 'get',
  path: '/',
  scope: 'open',
  tag: 'service',
  summary: 'the page for people: scores, comparisons, jobs, models',
  description: 'Not found with page=false. The page asks for an API key where the service needs one.',
  answers: { 200: { description: 'a page', types: ['text/html'], schema: Type.String() } },
  errors: ['ROUTE_NOT_FOUND'],
  examples: [{ name: 'the page', status: 200 }],
  async handle(call, { config }: PageRouteServices) {
    requirePage(config);
    call.res.set('Content-Security-Policy', POLICY);
    send(call, 'index.html', 'no-cache');
  },
});

export const pageFile = defineRoute({
  method: 'get',
  path: '/page/{file}',
  scope: 'open',
  tag: 'service',
  summary: 'files of the page',
  params: Type.Object(
    { file: Type.String({ pattern: '^[A-Za-z0-9-]{1,64}\\.(js|css|txt)$', description: 'file of the page' }) },
    closed,
  ),
  answers: {
    200: { description: 'a file', types: ['text/css', 'text/javascript', 'text/plain'], schema: Type.String() },
  },
  errors: ['ROUTE_NOT_FOUND'],
  examples: [{ name: 'an unknown file', status: 404, params: { file: 'unknown.js' } }],
  async handle(call, { config }: PageRouteServices) {
    requirePage(config);
    send(call, call.params.file, 'public, max-age=31536000, immutable');
  },
});

export const pageRoutes = [pageStart, pageFile];
