import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import Type from 'typebox';
import { QalignError } from '../../base/errors.js';
import { describeService } from '../openapi.js';
import { sendJson } from '../packed-answer.js';
import { defineRoute, type Route } from '../route.js';
import { closed } from '../../api/error.js';

/** dist/swagger-ui, which .config/reference-page.ts writes; the package itself when run from source. */
const BUILT = fileURLToPath(new URL('../../../swagger-ui', import.meta.url));
const FOLDER = existsSync(BUILT)
  ? BUILT
  : dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const FILES = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'];

// Scripts are separate files, because the Content-Security-Policy forbids inline scripts. Addresses are relative, so
// that the page works below the path prefix of a reverse proxy.
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>qalign: HTTP service</title>
<link rel="icon" href="./docs/favicon-32x32.png">
<link rel="stylesheet" href="./docs/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="./docs/swagger-ui-bundle.js"></script>
<script src="./docs/start.js"></script>
</body>
</html>
`;
const START =
  "SwaggerUIBundle({ url: 'openapi.json', dom_id: '#reference', deepLinking: true, docExpansion: 'list', defaultModelsExpandDepth: 0, validatorUrl: null });\n";

/** Serves the description of all routes and a page to read and try it. Nothing is loaded from other hosts. */
export function documentationRoutes(all: () => readonly Route[]): Route<unknown>[] {
  let document: object | undefined;
  const openapi = defineRoute({
    method: 'get',
    path: '/openapi.json',
    scope: 'any',
    tag: 'service',
    summary: 'this description, as OpenAPI 3.1',
    answers: { 200: { description: 'the document', schema: Type.Object({}, { additionalProperties: true }) } },
    examples: [{ name: 'the document', status: 200 }],
    async handle(call) {
      document ??= describeService(all());
      sendJson(call.req, call.res, document);
    },
  });
  const page = defineRoute({
    method: 'get',
    path: '/docs',
    scope: 'any',
    tag: 'service',
    summary: 'the API reference as a page',
    answers: { 200: { description: 'a page', types: ['text/html'], schema: Type.String() } },
    examples: [{ name: 'the page', status: 200 }],
    handle: async (call) => void call.res.type('text/html').send(PAGE),
  });
  const file = defineRoute({
    method: 'get',
    path: '/docs/{file}',
    scope: 'any',
    tag: 'service',
    summary: 'files of the API reference page',
    params: Type.Object(
      { file: Type.String({ pattern: '^[a-z0-9.-]{1,64}$', description: 'file of the page' }) },
      closed,
    ),
    answers: {
      200: { description: 'a file', types: ['text/css', 'text/javascript', 'image/png'], schema: Type.String() },
    },
    errors: ['ROUTE_NOT_FOUND'],
    examples: [{ name: 'its style', status: 200, params: { file: 'swagger-ui.css' } }],
    async handle({ res, params }) {
      if (params.file === 'start.js') return void res.type('text/javascript').send(START);
      if (!FILES.includes(params.file))
        throw new QalignError('ROUTE_NOT_FOUND', `The reference has no file "${params.file}".`);
      res.set('Cache-Control', 'private, max-age=3600');
      // With an absolute path instead of a root, Express would refuse directories such as .pnpm or ~/.npm as hidden.
      await new Promise<void>((resolve, reject) =>
        res.sendFile(params.file, { root: FOLDER }, (error?: Error) =>
          error === undefined || res.destroyed ? resolve() : reject(error),
        ),
      );
    },
  });
  return [openapi, page, file];
}
