import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemWith } from '../../bridge/validate.js';
import { DEFAULT_MODEL } from '../../src/config/models.js';
import { describeService } from '../../src/server/openapi.js';
import { ROUTES } from '../../src/server/routes/index.js';
import { ErrorAnswer } from '../../src/api/error.js';
import { startService, type TestService } from './start-service.js';
import { sendExample } from './send-example.js';

let service: TestService;
beforeAll(async () => {
  service = await startService([`models=[${DEFAULT_MODEL}]`]); // the examples must work with the default configuration
});
afterAll(() => service.close());

interface Document {
  openapi: string;
  paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>;
  webhooks: Record<string, Record<string, { operationId: string }>>;
  components: { schemas: Record<string, unknown> };
}

describe('/openapi.json', () => {
  it('describes every route, and has no broken reference', async () => {
    const text = await (await fetch(`${service.url}/openapi.json`)).text();
    const document = JSON.parse(text) as Document;
    expect(document.openapi).toBe('3.1.0');
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(operations.sort()).toEqual(ROUTES.map(({ method, path }) => `${method} ${path}`).sort());
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name as string);
    expect(references.length).toBeGreaterThan(20);
    expect(references.filter((name) => document.components.schemas[name] === undefined)).toEqual([]);
    expect(document.paths['/v1/score']?.['post']?.responses).toHaveProperty('429');
    expect(document.webhooks['job_ended']?.['post']?.operationId).toBe('webhook_job_ended');
  });

  it('requires no key that has a default', () => {
    const wrong: string[] = [];
    const walk = (node: unknown, place: string): void => {
      if (typeof node !== 'object' || node === null) return;
      const { required, properties } = node as {
        required?: string[];
        properties?: Record<string, { default?: unknown }>;
      };
      if (Array.isArray(required) && properties !== undefined)
        wrong.push(...required.filter((key) => properties[key]?.default !== undefined).map((key) => `${place}.${key}`));
      for (const [key, value] of Object.entries(node)) walk(value, `${place}.${key}`);
    };
    const document = describeService(ROUTES);
    walk(document, '');
    expect(JSON.stringify(document)).toContain('"default":{}');
    expect(wrong).toEqual([]);
  });

  it('has an example for every route', () => {
    expect(ROUTES.filter(({ examples }) => examples.length === 0).map(({ path }) => path)).toEqual([]);
  });
});

describe('the documented examples', () => {
  it.each(
    ROUTES.flatMap((route) =>
      route.examples.map((example) => ({ name: `${route.method} ${route.path}: ${example.name}`, route, example })),
    ),
  )(
    '$name',
    async ({ route, example }) => {
      const response = await sendExample(service.url, route, example);
      const text = await response.text();
      expect(response.status, text.slice(0, 500)).toBe(example.status);
      if (response.headers.get('content-type')?.includes('application/json') !== true)
        return expect(
          route.answers[example.status]?.types?.some((type) => response.headers.get('content-type')?.startsWith(type)),
        ).toBe(true);
      const schema = route.answers[example.status]?.schema ?? ErrorAnswer;
      expect(problemWith(schema, JSON.parse(text))).toBeUndefined();
    },
    60_000,
  );
});

it('serves the reference with a policy that allows no other origin', async () => {
  const page = await fetch(`${service.url}/docs`);
  const text = await page.text();
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("script-src 'self'");
  expect(policy).not.toContain("'unsafe-eval'");
  const files = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path as string);
  expect(files).toHaveLength(4);
  for (const path of files) {
    expect(path).toMatch(/^\.\/docs\//); // relative, for services below a path prefix
    expect((await fetch(new URL(path, `${service.url}/docs`))).status).toBe(200);
  }
  expect(text).not.toMatch(/<script>/);
  expect((await fetch(`${service.url}/docs/package.json`)).status).toBe(404);
});
