// The only file that reads YAML and fills in defaults. A configuration is checked as a whole and frozen.

import { readFile } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import type { Static, TSchema } from 'typebox';
import { Default } from 'typebox/value';
import { parse, parseDocument } from 'yaml';
import { QalignError } from '../base/errors.js';
import { packageRoot } from '../base/package-root.js';
import { applyOverrides, parseOverride } from './overrides.js';
import { problemsOf } from './problems.js';
import { reasonOf } from '../base/files/reason.js';

/** Makes objects, lists and tuples read-only; a mapped type keeps lists and tuples. */
export type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/**
 * Parses YAML, applies the `key=value` overrides, fills in the defaults of the schema, checks and freezes the result.
 * @param source the name in errors: the file, or a description of the text
 * @throws QalignError CONFIG_INVALID with *all* problems, one per line; USAGE for a malformed override
 */
export function parseConfig<S extends TSchema>(
  schema: S,
  text: string,
  source: string,
  overrides: readonly string[] = [],
): DeepReadonly<Static<S>> {
  const document = parseDocument(text, { prettyErrors: true, uniqueKeys: true });
  if (document.errors.length > 0) {
    throw invalid(
      source,
      document.errors.map((error) => error.message.split('\n')[0] ?? error.message),
    );
  }
  const plain: unknown = document.toJS({ maxAliasCount: 0 }) ?? {};
  const changes = overrides.map((override) => parseOverride(override, (value) => parse(value) as unknown));
  return checkConfig(schema, applyOverrides(plain, changes), source);
}

/** Like `parseConfig`, for a value that is already parsed. Returns a frozen copy and does not change the value. */
export function checkConfig<S extends TSchema>(schema: S, value: unknown, source: string): DeepReadonly<Static<S>> {
  const filled = Default(schema, structuredClone(value));
  const problems = problemsOf(schema, filled);
  if (problems.length > 0) throw invalid(source, problems);
  return freeze(filled) as DeepReadonly<Static<S>>;
}

/** Reads a file with `parseConfig`. A relative path is searched in the working directory, then in the package. */
export async function loadConfig<S extends TSchema>(
  schema: S,
  path: string,
  overrides: readonly string[] = [],
): Promise<DeepReadonly<Static<S>>> {
  const source = overrides.length === 0 ? path : `${path} with ${overrides.join(' ')}`;
  return parseConfig(schema, await readConfigText(path), source, overrides);
}

async function readConfigText(path: string): Promise<string> {
  const places = isAbsolute(path) ? [path] : [resolve(path), join(packageRoot, path)];
  for (const place of places) {
    try {
      return await readFile(place, 'utf8');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
        throw new QalignError('CONFIG_NOT_FOUND', `The configuration ${place} cannot be read: ${reasonOf(cause)}.`, {
          cause,
        });
      }
    }
  }
  throw new QalignError('CONFIG_NOT_FOUND', `There is no configuration ${path}; name an existing YAML file.`);
}

function invalid(source: string, problems: string[]): QalignError {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  return new QalignError(
    'CONFIG_INVALID',
    `${source} has ${count}:\n${problems.map((line) => `  ${line}`).join('\n')}`,
    { details: { problems } },
  );
}

function freeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
}
