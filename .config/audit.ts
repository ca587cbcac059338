/**
 * `npm run audit`: looks for known vulnerabilities in the packages of package-lock.json and python/requirements*, with
 * `npm audit` and `pip-audit`. It needs a network connection, and pip-audit on PATH. Exits with 1 if it finds a
 * vulnerability, and with 2 if a lookup fails.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const PYTHON = join(import.meta.dirname, '../python');
const OFFLINE = /ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|ConnectionError|Max retries|ConnectTimeout/;
const UNANSWERED = /audit endpoint returned an error|could not be audited|Dependency not found/;

interface Looked {
  readonly result: 'nothing known' | 'vulnerable' | 'not looked up';
  readonly said: string;
}

function look(program: string, args: readonly string[], found: RegExp): Looked {
  const { error, status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1e9 });
  if (error !== undefined) return { result: 'not looked up', said: `${program} is not on PATH; install it.` };
  if (status === 0) return { result: 'nothing known', said: '' };
  const said = `${stdout}${stderr}`.trim();
  if (found.test(said)) return { result: 'vulnerable', said };
  if (OFFLINE.test(said))
    return { result: 'not looked up', said: `${program} needs a network connection, and there is none.` };
  const cause = UNANSWERED.test(said) ? `The registry does not answer ${program}; configure another registry.\n` : '';
  return { result: 'not looked up', said: `${cause}${said.split('\n').slice(0, 3).join('\n')}` };
}

const pins = readdirSync(PYTHON)
  .filter((name) => /^requirements.*\.(lock|txt)$/.test(name))
  .flatMap((name) => ['-r', join(PYTHON, name)]);
const looked = {
  'package-lock.json': look('npm', ['audit'], /\d+ (\w+ severity )?vulnerabilit/),
  // strict: a package without an answer must not count as safe
  'python/requirements*': look(
    'pip-audit',
    ['--strict', '--no-deps', '--disable-pip', '--progress-spinner', 'off', ...pins],
    /Found \d+ known vulnerabilit/,
  ),
};
for (const [what, { result, said }] of Object.entries(looked))
  process.stdout.write(`${what}: ${result}\n${said === '' ? '' : `${said}\n`}`);
const results = Object.values(looked).map(({ result }) => result);
process.exitCode = results.includes('vulnerable') ? 1 : results.includes('not looked up') ? 2 : 0;
