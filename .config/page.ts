/**
 * `tsx .config/page.ts DIST`: a build step. Bundles src/page into DIST/page: one script, one style, an HTML file, and
 * the licences of the bundled libraries. Script and style have a hash in their name, so that browsers keep them.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { TOKENS } from '../src/report/style.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Writes the folder `page` below `dist` and returns its path. */
export async function buildPage(dist: string): Promise<string> {
  const folder = join(dist, 'page');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const styles = join(ROOT, 'src/page/style');
  const css = readdirSync(styles).sort().map((name) => readFileSync(join(styles, name), 'utf8')); // prettier-ignore
  const { metafile } = await build({
    entryPoints: { page: join(ROOT, 'src/page/main.tsx'), style: 'style' },
    outdir: folder,
    entryNames: '[name]-[hash]',
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    metafile: true,
    plugins: [
      {
        name: 'style',
        setup(building) {
          building.onResolve({ filter: /^style$/ }, () => ({ path: 'style.css', namespace: 'style' }));
          building.onLoad({ filter: /.*/, namespace: 'style' }, () => ({
            contents: [TOKENS, ...css].join('\n'),
            loader: 'css',
          }));
        },
      },
    ],
  });
  const names = Object.keys(metafile.outputs).map((path) => path.split('/').at(-1) ?? '');
  const [script, style] = ['.js', '.css'].map((ending) => names.find((name) => name.endsWith(ending)) ?? '');
  writeFileSync(join(folder, 'index.html'), html(script ?? '', style ?? ''));
  writeFileSync(join(folder, 'LICENCES.txt'), licences(Object.keys(metafile.inputs)));
  return folder;
}

/** Addresses are relative, so that the page works below a path prefix. */
const html = (script: string, style: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>qalign</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page/${style}">
<script type="module" src="page/${script}"></script>
</head>
<body>
<div id="page"></div>
<noscript>This page needs JavaScript. The API works without it: see <a href="docs">the reference</a>.</noscript>
</body>
</html>
`;

/** The licences of the packages that the bundle contains. */
function licences(inputs: readonly string[]): string {
  const names = inputs.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  const texts = [...new Set(names)].sort().map((name) => {
    const folder = packageFolder(name);
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
      string,
      string
    >;
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    return `${name} ${version} (${license})\n\n${file === undefined ? '' : readFileSync(join(folder, file), 'utf8')}`;
  });
  return texts.join(`\n${'-'.repeat(72)}\n\n`);
}

function packageFolder(name: string): string {
  let folder = dirname(createRequire(import.meta.url).resolve(name));
  while (!readdirSync(folder).includes('package.json') || !folder.endsWith(name)) folder = dirname(folder);
  return folder;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPage(process.argv[2] ?? 'dist');
