import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import { QalignError } from '../base/errors.js';
import { packageRoot } from '../base/package-root.js';
import { IMAGE_MARKER, KINDS, TASKS, type Task } from '../prompts/subject.js';
import { stemProblems, templateProblems, type PromptTemplate } from '../prompts/render.js';
import { loadConfig, type DeepReadonly } from './load.js';
import { hint } from '../base/suggest.js';

const FOLDER = join(packageRoot, 'configs', 'prompts');

const question = (description: string) => Type.String({ minLength: 1, description });

/** `configs/prompts/<name>.yaml`. */
export const PromptSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]*$', description: 'name of the prompt and of its file' }),
    about: Type.String({ description: 'source and purpose of the prompt' }),
    text: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'for mPLUG-Owl2: question up to the level word. It contains <|image|> exactly once, can contain {task} and {kind}, and does not end in white space',
      }),
    ),
    question: Type.Optional(
      Type.Union(
        [
          question('message of the user, for all tasks'),
          Type.Object(
            {
              quality: Type.Optional(question('message about quality')),
              aesthetics: Type.Optional(question('message about aesthetics')),
            },
            { additionalProperties: false, minProperties: 1, description: 'one message for each task' },
          ),
        ],
        {
          description:
            'for chat models (backend: transformers), with stem: message of the user. It can contain {task} and {kind}, and <|image|> once; without it, the picture comes first',
        },
      ),
    ),
    stem: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'for chat models: beginning of the answer up to the level word. It can contain {task} and {kind}',
        examples: ['The {task} of the {kind} is'],
      }),
    ),
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
  const prompt = templateOf(await loadConfig(PromptSchema, path), path);
  const texts = [prompt.text, ...Object.values(prompt.texts ?? {})];
  const problems = [
    ...texts.flatMap((text) => templateProblems(text)),
    ...(prompt.stem === undefined ? [] : stemProblems(prompt.stem)),
  ];
  if (problems.length > 0) throw new QalignError('CONFIG_INVALID', `${path}: ${[...new Set(problems)].join('; ')}.`);
  return prompt;
}

/** @throws QalignError CONFIG_INVALID unless the file has either a text, or a question and a stem */
function templateOf(
  { text, question: asked, stem, ...rest }: DeepReadonly<Static<typeof PromptSchema>>,
  path: string,
): PromptTemplate {
  if (text !== undefined && asked === undefined && stem === undefined) return { ...rest, text };
  if (text !== undefined || asked === undefined || stem === undefined)
    throw new QalignError(
      'CONFIG_INVALID',
      `${path}: a prompt has either "text", or "question" and "stem" for chat models.`,
    );
  if (typeof asked === 'string') return { ...rest, text: message(asked), stem };
  const texts = Object.fromEntries(Object.entries(asked).map(([task, one]) => [task, message(one)]));
  return {
    ...rest,
    text: Object.values(texts)[0] ?? '',
    texts,
    stem,
    tasks: (rest.tasks ?? TASKS).filter((task: Task) => asked[task] !== undefined),
  };
}

/** A message without a marker begins with the picture. */
const message = (asked: string): string => (asked.includes(IMAGE_MARKER) ? asked : `${IMAGE_MARKER}${asked}`);
