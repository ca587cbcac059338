/** docs/reference: tables and schemas of the sources → Markdown. */
import { cliPage } from './cli.js';
import { errorsPage } from './errors.js';
import { httpPage } from './http.js';
import { recipesPage, servicePage } from './keys.js';
import { clientPage, libraryPage } from './library.js';
import { code, GENERATED, link, page, table } from './markdown.js';
import { metricsPage } from './metrics.js';
import { resultPage } from './result.js';

export const REFERENCE_FOLDER = 'docs/reference';

const PAGES: Readonly<Record<string, { readonly about: string; readonly make: () => string | Promise<string> }>> = {
  'cli.md': { about: 'Command line: every command and flag, exit codes', make: cliPage },
  'recipes.md': { about: 'Recipes, models, prompts and datasets: every key of their YAML files', make: recipesPage },
  'service.md': { about: 'Service: every key of its configuration, environment variables', make: servicePage },
  'http.md': { about: 'HTTP: every route and schema of the service', make: httpPage },
  'result.md': { about: 'Results: every field of rows, tables and files', make: resultPage },
  'errors.md': { about: 'Errors: every code, its status and exit code, what to do', make: errorsPage },
  'metrics.md': { about: 'Metrics of the service and of evaluations', make: metricsPage },
  'library.md': { about: 'Library: every export of `qalign`', make: libraryPage },
  'client.md': { about: 'Client: every export of `qalign/client`', make: clientPage },
};

/** Path from the repository's root → content. */
export async function referenceFiles(): Promise<Map<string, string>> {
  const pages = await Promise.all(
    Object.entries(PAGES).map(async ([name, { make }]) => [`${REFERENCE_FOLDER}/${name}`, await make()] as const),
  );
  return new Map([[`${REFERENCE_FOLDER}/README.md`, index()], ...pages]);
}

const index = (): string =>
  page(
    GENERATED,
    '# Reference',
    `Written from the sources by ${code('npm run generate')}.`,
    table(
      ['Page', 'What it lists'],
      Object.entries(PAGES).map(([name, { about }]) => [link(code(name), name), about]),
    ),
    'JSON Schema files for editors are in [docs/schema](../schema).',
  );
