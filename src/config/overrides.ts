import { QalignError } from '../base/errors.js';

/**
 * `a.b.c=value` from the command line. The value is parsed as YAML, so that `2e-5`, `true`, `[1, 2]` and `null` keep
 * their types.
 */
export interface Override {
  readonly path: readonly string[];
  readonly value: unknown;
}

/**
 * @param parseYaml the parser of config/load, the only file that reads YAML
 * @throws QalignError USAGE
 */
export function parseOverride(text: string, parseYaml: (text: string) => unknown): Override {
  const at = text.indexOf('=');
  const path = text.slice(0, Math.max(at, 0)).split('.');
  if (at <= 0 || path.some((key) => key === '')) {
    throw new QalignError('USAGE', `"${text}" is not an override; use key=value or key.inner=value.`);
  }
  if (path.some((key) => ['__proto__', 'constructor', 'prototype'].includes(key))) {
    throw new QalignError('USAGE', `"${text}" names a key that no configuration has.`);
  }
  try {
    return { path, value: parseYaml(text.slice(at + 1)) };
  } catch (cause) {
    throw new QalignError('USAGE', `The value in "${text}" is not YAML; quote it.`, { cause });
  }
}

/**
 * Returns a copy of `document` with the overrides applied in order. Creates missing objects. Numbers in a path index
 * arrays.
 */
export function applyOverrides(document: unknown, overrides: readonly Override[]): unknown {
  return overrides.reduce((result, { path, value }) => put(result, path, value), structuredClone(document));
}

function put(target: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (Array.isArray(target) && /^\d+$/.test(key)) {
    const items: unknown[] = [...(target as unknown[])];
    items[Number(key)] = put(items[Number(key)], rest, value);
    return items;
  }
  const object =
    typeof target === 'object' && target !== null && !Array.isArray(target) ? (target as Record<string, unknown>) : {};
  return { ...object, [key]: put(object[key], rest, value) };
}
