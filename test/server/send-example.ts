import type { Example, Route } from '../../src/server/route.js';

/** Sends the example of a route as a request. */
export async function sendExample(
  url: string,
  route: Pick<Route, 'method' | 'path'>,
  example: Example,
  signal?: AbortSignal,
): Promise<Response> {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(example.params?.[name] ?? `no-${name}`),
  );
  const query = new URLSearchParams(example.query ?? {}).toString();
  const type = example.text?.type ?? (example.body === undefined ? undefined : 'application/json');
  return fetch(`${url}${path}${query === '' ? '' : `?${query}`}`, {
    method: route.method.toUpperCase(),
    headers: { ...(type === undefined ? {} : { 'Content-Type': type }), ...example.headers },
    ...(type === undefined ? {} : { body: example.text?.body ?? JSON.stringify(example.body) }),
    ...(signal === undefined ? {} : { signal }),
  });
}
