import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import Type from 'typebox';
import { QalignError } from '../base/errors.js';
import { packageRoot } from '../base/package-root.js';
import { KINDS, TASKS } from '../prompts/subject.js';
import { templateProblems, type PromptTemplate } from '../prompts/render.js';
import { loadConfig } from './load.js';
import { hint } from '../base/suggest.js';

const FOLDER = join(packageRoot, 'configs', 'prompts');

/** `configs/prompts/<name>.yaml`. */
export const PromptSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]*$', description: 'name of the prompt and of its file' }),
    about: Type.String({ description: 'source and purpose of the prompt' }),
    text: Type.String({
      minLength: 1,
      description:
        'question up to the level word. It contains <|image|> exactly once, can contain {task} and {kind}, and does not end in white space',
    }),
    tasks: Type.Optional(
      Type.Array(Type.Enum([...TASKS]), {
        minItems: 1,
        description: 'tasks that the prompt can be used for (default: all)',
      }),
    ),
    kinds: Type.Optional(
      Type.Array(Type.Enum([...KINDS]), {
        minItems: 1,
        description: 'kinds of input that the prompt can be used for (default: all)',
      }),
    ),
  },
  { additionalProperties: false },
);

export async function promptNames(): Promise<string[]> {
  return (await readdir(FOLDER))
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -5))
    .sort();
}

/**
 * Loads a prompt of configs/prompts/ by name, or a YAML file of the same form by path.
 * @throws QalignError CONFIG_NOT_FOUND, CONFIG_INVALID
 */
export async function loadPrompt(name: string): Promise<PromptTemplate> {
  const path = /[/\\]|\.ya?ml$/.test(name) ? name : join(FOLDER, `${name}.yaml`);
  if (path !== name) {
    const names = await promptNames();
    if (!names.includes(name))
      throw new QalignError('CONFIG_NOT_FOUND', `There is no prompt "${name}"${hint(name, names)}.`);
  }
  const prompt = await loadConfig(PromptSchema, path);
  const problems = templateProblems(prompt.text);
  if (problems.length > 0) throw new QalignError('CONFIG_INVALID', `${path}: ${problems.join('; ')}.`);
  return prompt;
}
