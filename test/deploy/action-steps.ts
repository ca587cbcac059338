import { spawn } from 'node:child_process';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRoot } from '../../src/base/package-root.js';

export interface Step {
  readonly id?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly 'working-directory'?: string;
}
export interface Action {
  readonly inputs: Readonly<Record<string, { readonly default: string }>>;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: { readonly steps: readonly Step[] };
}

export const readAction = async (): Promise<Action> =>
  parse(await readFile(join(packageRoot, 'action.yml'), 'utf8')) as Action;

export interface StepsRan {
  readonly code: number;
  readonly log: string;
  readonly outputs: Readonly<Record<string, string>>;
  readonly summary: string;
}

export interface StepsOptions {
  readonly inputs: Readonly<Record<string, string>>;
  /** The folder of the action: the installed package. */
  readonly action: string;
  readonly checkout: string;
  readonly temp: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Runs the `run:` steps of action.yml like a runner, up to the first failure. `uses:` steps are skipped. */
export async function runSteps({ inputs, action, checkout, temp, env }: StepsOptions): Promise<StepsRan> {
  const { inputs: described, runs } = await readAction();
  const folder = await mkdtemp(join(temp, 'steps-'));
  const files = { GITHUB_OUTPUT: join(folder, 'output'), GITHUB_STEP_SUMMARY: join(folder, 'summary') };
  for (const file of Object.values(files)) await writeFile(file, '');
  const filled = (text: string): string =>
    text.replace(/\$\{\{ *([\w.-]+) *\}\}/g, (_, name: string) => {
      if (name === 'github.action_path') return action;
      const input = name.replace(/^inputs\./, '');
      return inputs[input] ?? described[input]?.default ?? `unknown ${name}`;
    });
  let log = '';
  let code = 0;
  for (const [index, step] of runs.steps.entries()) {
    if (step.run === undefined || code !== 0) continue;
    const script = join(folder, `${index}.sh`);
    await writeFile(script, step.run);
    const own = Object.entries(step.env ?? {}).map(([name, value]) => [name, filled(value)] as const);
    const child = spawn('bash', ['--noprofile', '--norc', '-e', '-o', 'pipefail', script], {
      cwd: join(checkout, filled(step['working-directory'] ?? '.')),
      env: {
        ...process.env,
        GITHUB_WORKSPACE: checkout,
        RUNNER_TEMP: folder,
        ...env,
        ...files,
        ...Object.fromEntries(own),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (log += chunk.toString()));
    code = await new Promise<number>((done) => child.once('close', (status) => done(status ?? -1)));
  }
  const outputs = [
    ...(await readFile(files.GITHUB_OUTPUT, 'utf8')).matchAll(/^([\w-]+)(?:=(.*)|<<(\w[\w-]*)\n([^]*?)\n\3)$/gm),
  ];
  return {
    code,
    log,
    outputs: Object.fromEntries(outputs.map(([, name = '', line, , text]) => [name, line ?? text ?? ''])),
    summary: await readFile(files.GITHUB_STEP_SUMMARY, 'utf8'),
  };
}
