import { randomUUID } from 'node:crypto';
import { appendFile, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import type { WorkflowEvent } from './base.js';
import { reasonOf } from '../../base/files/reason.js';

/** The files and log commands through which a step exchanges data with its workflow run. */
export interface Workflow {
  /** @throws QalignError CONFIG_INVALID for an event file that cannot be read */
  event(): Promise<WorkflowEvent>;
  output(values: Readonly<Record<string, string>>): Promise<void>;
  summary(text: string): Promise<void>;
  /** Adds an annotation to the run. */
  annotate(level: 'error' | 'notice', message: string): void;
  /** Runs `work` with workflow commands disabled, because a file can be named `::error::x`. */
  quoted<T>(work: () => Promise<T>): Promise<T>;
  /** Creates a folder for the results file, which later steps can read. */
  resultsFolder(): Promise<string>;
}

export function openWorkflow(env: NodeJS.ProcessEnv, write: (line: string) => void): Workflow {
  const append = async (name: string, text: string): Promise<void> => {
    const file = env[name];
    if (file !== undefined && file !== '') await appendFile(file, text);
  };
  return {
    event: () => readEvent(env['GITHUB_EVENT_PATH']),
    output: async (values) => {
      for (const [name, value] of Object.entries(values)) {
        const end = `end_${randomUUID()}`;
        await append('GITHUB_OUTPUT', `${name}<<${end}\n${value}\n${end}\n`);
      }
    },
    summary: (text) => append('GITHUB_STEP_SUMMARY', text),
    annotate: (level, message) => write(`::${level} title=qalign::${commandText(message)}`),
    async quoted(work) {
      const token = randomUUID();
      write(`::stop-commands::${token}`);
      try {
        return await work();
      } finally {
        write(`::${token}::`);
      }
    },
    resultsFolder: () => mkdtemp(join(env['RUNNER_TEMP'] || tmpdir(), 'qalign-scores-')),
  };
}

const commandText = (text: string): string =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');

async function readEvent(path: string | undefined): Promise<WorkflowEvent> {
  if (path === undefined || path === '') return {};
  try {
    return JSON.parse(await readFile(path, 'utf8')) as WorkflowEvent;
  } catch (cause) {
    throw new QalignError('CONFIG_INVALID', `The event file ${path} cannot be read: ${reasonOf(cause)}.`, {
      cause,
    });
  }
}
