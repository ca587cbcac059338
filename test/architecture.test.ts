import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../src/base/package-root.js';

/** An import: `what` as written, and `path` from the root of the repository if it is a file of this repository. */
interface Import {
  readonly file: string;
  readonly what: string;
  readonly path?: string;
}

/**
 * The floor of every folder of src: `cli → server → recipes → {engine, runs, config} → {datasets, media} →
 * {scoring, prompts, report} → base`. An import points to a lower floor, stays in its folder or is listed in BESIDE.
 */
const RANKS = new Map(
  [
    ['cli'],
    ['server', 'page'],
    ['recipes'],
    ['engine', 'runs', 'config', 'api', 'client'],
    ['datasets', 'media'],
    ['scoring', 'prompts', 'report'],
    ['base'],
  ].flatMap((names, rank) => names.map((name) => [name, rank])),
);
/** Arrows within a floor. */
const BESIDE = ['api → config', 'client → api'];
/** Folders that can import less than their floor allows. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  api: ['config', 'scoring', 'prompts', 'base'],
  client: ['api', 'report'],
  page: ['api', 'client', 'report', 'scoring', 'prompts'],
};
const PYTHON_RANKS = new Map([
  ['worker', 0],
  ['training', 1],
  ['mplug_owl2', 2],
  ['transformers_backend', 2],
  ['weights', 3],
  ['ray', 3],
]);

/** Package → the only paths that can import it. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  zeromq: ['bridge/transport.ts'],
  '@aws-sdk/client-s3': ['src/recipes/shards/store/s3-client.ts'],
  ajv: ['bridge/validate.ts'],
  yaml: ['src/config/load.ts'],
  sharp: ['src/media/'],
  'ffmpeg-static': ['src/media/'],
  'libheif-js': ['src/media/decode/'],
  undici: ['src/media/', 'src/recipes/shards/ray/'],
  express: ['src/server/'],
};
/** Packages with one importing file, at any path. */
const ONE_FILE = ['pythonia', 'libsql'];
const PYTHON_DOORS: Readonly<Record<string, readonly string[]>> = {
  zmq: ['python/qalign/worker/bridge.py'],
  transformers: ['python/qalign/transformers_backend/'],
  ray: ['python/qalign/ray/'],
};
const PYTHON_NEVER = ['pickle', 'dill', 'cloudpickle', 'joblib', 'yaml'];
const MOST_FILES = 18;
const MOST_FUNCTION_LINES = 80;
const FORBIDDEN_NAMES = /^(utils?|commons?|helpers?|managers?|misc)$/;

const filesUnder = (folder: string, extension: string): string[] =>
  readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(extension))
    .map((name) => `${folder}/${name}`)
    .sort();

const read = (file: string): string => readFileSync(join(packageRoot, file), 'utf8');

/** Static, dynamic and re-exporting imports, `require` and `import.meta.resolve`. */
export function typescriptImports(file: string, source: string): Import[] {
  const words = [
    ...source.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*|\bresolve\s*\(\s*)['"]([^'"\n]+)['"]/g),
  ].map(([, what]) => what as string);
  return words.map((what) =>
    what.startsWith('.')
      ? { file, what, path: normalize(join(dirname(file), what)).replace(/\.js$/, '') }
      : { file, what },
  );
}

/** `import a.b`, `from .x import y`, also inside functions; relative ones resolved against the package. */
export function pythonImports(file: string, source: string): Import[] {
  const found: Import[] = [];
  for (const [, dots = '', module = '', names = ''] of source.matchAll(
    /^[ \t]*from (\.*)([\w.]*) import ([^\n#]+)/gm,
  )) {
    const parents = dirname(file).split('/');
    const inside = module.replaceAll('.', '/');
    if (module === 'qalign') for (const name of names.split(',')) found.push(imported(file, `qalign.${name.trim()}`));
    else if (dots === '') found.push(imported(file, module));
    else if (module === '')
      for (const name of names.split(','))
        found.push({
          file,
          what: name.trim(),
          path: [...parents.slice(0, parents.length - dots.length + 1), name.trim()].join('/'),
        });
    else
      found.push({
        file,
        what: module,
        path: [...parents.slice(0, parents.length - dots.length + 1), inside].join('/'),
      });
  }
  for (const [, names = ''] of source.matchAll(/^[ \t]*import ([\w., ]+)/gm)) {
    for (const name of names.split(',')) found.push(imported(file, name.trim().split(' ')[0] ?? ''));
  }
  return found;
}

const imported = (file: string, module: string): Import =>
  module.startsWith('qalign')
    ? { file, what: module, path: `python/${module.replaceAll('.', '/')}` }
    : { file, what: module };

/** The imports that point left, sideways out of their folder, or from bridge/ into src/. */
export function wrongArrows(imports: readonly Import[]): string[] {
  return imports
    .filter((one) => one.path !== undefined && !isAllowed(one.file, one.path))
    .map(({ file, path }) => `${file} → ${path}`);
}

function isAllowed(file: string, path: string): boolean {
  const [from, to] = [file.split('/'), path.split('/')];
  if (from[0] === 'bridge') return to[0] === 'bridge';
  if (from[0] === 'python') {
    const [a, b] = [PYTHON_RANKS.get(from[2] ?? ''), PYTHON_RANKS.get(to[2] ?? '')];
    // protocol.py and __init__.py belong to no folder; the models must not import the protocol
    if (b === undefined) return !['mplug_owl2', 'weights'].includes(from[2] ?? '') || to[2] === undefined;
    return a === undefined || from[2] === to[2] || a < b;
  }
  // index.ts is the library: it can import everything, and nothing imports it
  if (to[0] === 'bridge' || file === 'src/index.ts') return true;
  const [here, there] = [from[1] ?? '', to[1] ?? ''];
  if (here === there || BESIDE.includes(`${here} → ${there}`)) return true;
  const [a, b] = [RANKS.get(here), RANKS.get(there)];
  return a !== undefined && b !== undefined && a < b && (ONLY[here]?.includes(there) ?? true);
}

/** Imports of a guarded package outside its door. */
export function secondDoors(
  imports: readonly Import[],
  doors: Readonly<Record<string, readonly string[]>>,
  separator: string,
): string[] {
  return imports
    .filter(({ file, what, path }) => {
      const door = path === undefined ? doors[what.split(separator)[0] ?? ''] : undefined;
      return (
        door !== undefined && !door.some((place) => (place.endsWith('/') ? file.startsWith(place) : file === place))
      );
    })
    .map(({ file, what }) => `${file} imports ${what}`);
}

/**
 * Import circles among files, including type imports: the strongly connected components of the import graph (Tarjan
 * 1972), each sorted.
 */
export function circles(imports: readonly Import[]): string[][] {
  const arrows = new Map<string, string[]>();
  for (const { file, path } of imports) {
    const from = file.replace(/(\/__init__)?\.(tsx?|py)$/, '');
    if (path !== undefined) arrows.set(from, [...(arrows.get(from) ?? []), path]);
  }
  const found: string[][] = [];
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const visit = (file: string): number => {
    const place = order.size;
    order.set(file, place);
    lowest.set(file, place);
    stack.push(file);
    for (const next of arrows.get(file) ?? []) {
      const reached = order.has(next) ? (stack.includes(next) ? order.get(next) : undefined) : visit(next);
      lowest.set(file, Math.min(lowest.get(file) ?? place, reached ?? place));
    }
    if (lowest.get(file) === place) {
      const part = stack.splice(stack.indexOf(file));
      if (part.length > 1) found.push(part.sort());
    }
    return lowest.get(file) ?? place;
  };
  for (const file of arrows.keys()) if (!order.has(file)) visit(file);
  return found;
}

/** Every `def` with its number of lines, up to the last line that is indented deeper. */
export function pythonFunctions(source: string): { name: string; lines: number }[] {
  const lines = source.split('\n');
  return lines.flatMap((line, start) => {
    const [, indent = '', name = ''] = /^( *)(?:async )?def (\w+)/.exec(line) ?? [];
    if (name === '') return [];
    const deeper = (text: string): boolean => text === '' || text.startsWith(`${indent} `) || /^ *\)/.test(text);
    const after = lines.slice(start + 1).findIndex((text) => !deeper(text));
    const end = after < 0 ? lines.length : start + 1 + after;
    return [{ name, lines: lines.slice(start, end).join('\n').trimEnd().split('\n').length }];
  });
}

const typescript = [...filesUnder('src', '.ts'), ...filesUnder('src', '.tsx'), ...filesUnder('bridge', '.ts')];
const python = filesUnder('python/qalign', '.py');
const imports = typescript.flatMap((file) => typescriptImports(file, read(file)));
const importsOfPython = python.flatMap((file) => pythonImports(file, read(file)));

describe('imports', () => {
  it('are found at all', () => {
    expect(imports.length).toBeGreaterThan(100);
    expect(imports.some(({ file, what }) => file === 'bridge/transport.ts' && what === 'zeromq')).toBe(true);
    expect(importsOfPython.some(({ file, what }) => file === 'python/qalign/worker/bridge.py' && what === 'zmq')).toBe(
      true,
    );
  });

  it('point to lower floors', () => {
    expect(wrongArrows(imports)).toEqual([]);
    expect(wrongArrows(importsOfPython)).toEqual([]);
  });

  it('of guarded packages are in one place', () => {
    expect(secondDoors(imports, DOORS, '/')).toEqual([]);
    for (const name of ONE_FILE)
      expect(new Set(imports.filter(({ what }) => what === name).map(({ file }) => file)).size).toBeLessThan(2);
    expect(secondDoors(importsOfPython, PYTHON_DOORS, '.')).toEqual([]);
  });

  it('include no pickle and no YAML in Python', () => {
    expect(importsOfPython.filter(({ what }) => PYTHON_NEVER.includes(what.split('.')[0] ?? ''))).toEqual([]);
  });
});

describe('circles', () => {
  it('do not exist between files', () => {
    expect(circles([...imports, ...importsOfPython])).toEqual([]);
  });

  it('are detected', () => {
    const arrow = (file: string, path: string): Import => ({ file: `${file}.ts`, what: path, path });
    const loop = [arrow('a', 'b'), arrow('b', 'c'), arrow('c', 'a'), arrow('c', 'd'), arrow('d', 'd')];
    expect(circles(loop)).toEqual([['a', 'b', 'c']]);
    expect(circles(loop.slice(1))).toEqual([]);
  });
});

describe('files', () => {
  const tests = filesUnder('test', '.ts').filter((file) => !file.includes('/fixtures/'));
  const all = [...typescript, ...python, ...tests, ...filesUnder('test/python', '.py')];

  it('are not over 400 lines', () => {
    const long = all.filter((file) => !isGenerated(file) && read(file).split('\n').length > 401);
    expect(long).toEqual([]);
  });

  it('are at most 18 in a folder', () => {
    const counts = new Map<string, number>();
    for (const file of all) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > MOST_FILES)).toEqual([]);
  });

  it('have no Python function over 80 lines', () => {
    const found = [...python, ...filesUnder('test/python', '.py')].flatMap((file) =>
      pythonFunctions(read(file)).map(({ name, lines }) => ({ at: `${file}: ${name}`, lines })),
    );
    expect(found.length).toBeGreaterThan(100);
    expect(found.filter(({ lines }) => lines > MOST_FUNCTION_LINES)).toEqual([]);
  });

  it('are named kebab-case.ts and snake_case.py, without generic names', () => {
    const parts = all.flatMap((file) => file.split('/').map((part) => ({ file, part: part.split('.')[0] ?? '' })));
    expect(
      parts.filter(({ part }) => part.split(/[-_]/).some((word) => FORBIDDEN_NAMES.test(word))).map(({ file }) => file),
    ).toEqual([]);
    expect(
      all.filter(
        (file) =>
          !(
            /\.tsx?$/.test(file) ? /^[a-z0-9]+([-.][a-z0-9]+)*\.tsx?$/ : /^_{0,2}[a-z0-9]+(_[a-z0-9]+)*_{0,2}\.py$/
          ).test(basename(file)),
      ),
    ).toEqual([]);
  });

  it('are in the folders of docs/architecture.md', () => {
    expect(
      readdirSync(join(packageRoot, 'src'), { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && !RANKS.has(entry.name))
        .map(({ name }) => name),
    ).toEqual([]);
    expect(
      readdirSync(join(packageRoot, 'python/qalign'), { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && entry.name !== '__pycache__' && !PYTHON_RANKS.has(entry.name))
        .map(({ name }) => name),
    ).toEqual([]);
  });
});

const isGenerated = (file: string): boolean => file.includes('.generated.') || file === 'python/qalign/protocol.py';

describe('the rules themselves catch', () => {
  const typescriptCase = (file: string, line: string): string[] => {
    const found = typescriptImports(file, line);
    return [...wrongArrows(found), ...secondDoors(found, DOORS, '/')];
  };
  it.each([
    ['bridge/client.ts', "import { x } from '../src/base/errors.js';"],
    ['src/media/image.ts', "import { x } from '../engine/index.js';"],
    ['src/engine/queue.ts', "export * from '../runs/store.js';"],
    ['src/scoring/score.ts', "const { x } = await import('../media/image.js');"],
    ['src/config/load.ts', "import { x } from '../index.js';"],
    ['src/base/logger.ts', "import { x } from '../media/image.js';"],
    ['src/engine/engine.ts', "import { Router } from 'zeromq';"],
    ['src/recipes/score/score.ts', "import sharp from 'sharp';"],
    ['src/config/train.ts', "import { Ajv } from 'ajv/dist/2019.js';"],
    ['src/cli/main.ts', "const x = require('express');"],
  ])('%s: %s', (file, line) => {
    expect(typescriptCase(file, line)).toHaveLength(1);
  });

  it.each([
    ['python/qalign/mplug_owl2/model.py', 'from ..worker.errors import WorkerError'],
    ['python/qalign/mplug_owl2/model.py', 'from ..protocol import METHODS'],
    ['python/qalign/mplug_owl2/model.py', 'from .. import protocol'],
    ['python/qalign/mplug_owl2/model.py', 'from qalign import protocol'],
    ['python/qalign/weights/tensors.py', 'from qalign.protocol import LEVELS'],
    ['python/qalign/weights/tensors.py', 'from ..schemas import problem_with'],
    ['python/qalign/weights/tensors.py', 'from qalign import schemas'],
    ['python/qalign/weights/hub.py', 'from qalign.mplug_owl2.config import load_config'],
    ['python/qalign/mplug_owl2/model.py', 'from transformers import AutoModel'],
    ['python/qalign/training/loop.py', '    from qalign.worker import bridge'],
    ['python/qalign/worker/handlers.py', 'import zmq.asyncio'],
  ])('%s: %s', (file, line) => {
    const found = pythonImports(file, line);
    expect([...wrongArrows(found), ...secondDoors(found, PYTHON_DOORS, '.')]).toHaveLength(1);
  });
});
