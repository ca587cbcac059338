import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.js';
import { faultsOf, type Fault } from './rules.js';
import { textsOf } from './texts.js';

const below = (folder: string): string[] =>
  readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`);

/** What a person reads; generated files say what their sources say, and tests are not shipped. */
export function textFiles(): string[] {
  return [
    ...['README.md', 'CHANGELOG.md', 'BENCHMARKS.md', '.ci/run'],
    ...['src', 'bridge', 'python', 'configs', 'docs', 'deploy', '.config'].flatMap(below),
  ]
    .filter((file) => /\.(ts|py|md|ya?ml|sh|service)$|Dockerfile$/.test(file))
    .filter((file) => !/\.generated\.|node_modules|\/reference\/|schemas\.py$|\.d\.ts$|__pycache__/.test(file))
    .sort();
}

export const faultsIn = (file: string): Fault[] =>
  textsOf(file, readFileSync(join(packageRoot, file), 'utf8')).flatMap(faultsOf);
