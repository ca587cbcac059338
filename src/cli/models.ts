import { FAMILIES, type Family } from '../../bridge/protocol/chat.js';
import { chooseModel, DEFAULT_MODEL, describeModels } from '../config/models.js';
import { QalignError } from '../base/errors.js';
import { formatBytes } from '../base/units.js';
import { downloadNotice } from '../recipes/models-here.js';
import { inspectModel, type ModelReport } from '../recipes/models.js';
import { defineCommand, defineGroup, type CommandContext, type FlagValues } from './command.js';
import { createSetupProgress } from './terminal/progress.js';
import type { Terminal } from './terminal/terminal.js';
import { fittedTable, labelled } from './terminal/table.js';
import { asJson } from './terminal/json.js';

const FLAGS = {
  revision: { type: 'string', value: 'REV', help: 'commit, tag or branch of a hub model' },
  offline: { type: 'boolean', help: 'do not use the network' },
  json: { type: 'boolean', help: 'print the report as JSON' },
} as const;

const SMART = 'resized at their aspect ratio';
const TILES = 'cut into tiles';
/** Known models of each family, and what they see of a picture. */
const FAMILY_FACTS: Readonly<Record<Family, { readonly models: string; readonly pictures: string }>> = {
  qwen2_5_vl: { models: 'Qwen2.5-VL', pictures: SMART },
  qwen3_vl: { models: 'Qwen3-VL', pictures: SMART },
  qwen3_5: { models: 'Qwen3.5, Q-ReAlign', pictures: SMART },
  internvl: { models: 'InternVL 3 (the -hf versions)', pictures: TILES },
  llava_onevision: { models: 'LLaVA-OneVision, Q-SiT', pictures: TILES },
  smolvlm: { models: 'SmolVLM', pictures: TILES },
  gemma3: { models: 'Gemma 3', pictures: 'resized to a square' },
};

const list = defineCommand({
  name: 'models list',
  summary: 'list the models that qalign describes: tasks, source, licence',
  examples: ['qalign models list', 'qalign models list --families'],
  flags: {
    families: {
      type: 'boolean',
      help: 'instead, list the families of transformers whose models --model hf:ID takes',
    },
    json: FLAGS.json,
  },
  async run({ flags, terminal }) {
    if (flags.families === true) {
      const rows = FAMILIES.map((family) => ({ family, ...FAMILY_FACTS[family] }));
      const table = [
        ['family', 'models', 'pictures'],
        ...rows.map(({ family, models, pictures }) => [family, models, pictures]),
      ];
      const shown = fittedTable(table, terminal.columns, terminal.paint);
      await terminal.out(flags.json ? asJson(rows) : shown.map((line) => `${line}\n`).join(''));
      return 0;
    }
    const models = await describeModels();
    const cells = models.map(({ name, title, model, revision, tasks, licence }) => [
      name === DEFAULT_MODEL ? `${name} (default)` : name,
      Object.entries(tasks)
        .map(([task, kinds]) => `${task}${kinds.length === 1 ? ` of ${kinds[0]}s` : ''}`)
        .join(', '),
      `${title}; ${model}${revision === undefined ? '' : ` at ${revision.slice(0, 12)}`}; licence: ${licence}`,
    ]);
    const lines = fittedTable([['model', 'rates', 'about'], ...cells], terminal.columns, terminal.paint);
    await terminal.out(flags.json ? asJson(models) : lines.map((line) => `${line}\n`).join(''));
    return 0;
  },
});

const pull = defineCommand({
  name: 'models pull',
  summary: 'download a model into the cache, or continue an interrupted download',
  args: 'NAME|ID',
  examples: ['qalign models pull one-align'],
  interrupted: 'the same command continues the download',
  flags: { revision: FLAGS.revision, json: FLAGS.json },
  async run(context) {
    const report = await look(context, { ...context.flags, offline: false });
    if (report.unread !== undefined) throw report.unread;
    await context.terminal.out(
      context.flags.json ? asJson(report) : `${report.id} is in ${String(report.inspection['path'])}\n`,
    );
    return 0;
  },
});

const inspect = defineCommand({
  name: 'models inspect',
  summary: 'show parameters, memory by precision, tasks, licence and files, without loading the weights',
  args: 'NAME|DIR|ID',
  description:
    'Downloads a hub model into the cache first. If the model is not available, shows only its description; the exit code is then 1.',
  examples: ['qalign models inspect nano', 'qalign models inspect ./my-checkpoint --json'],
  flags: FLAGS,
  async run(context) {
    const report = await look(context, context.flags);
    await context.terminal.out(context.flags.json ? asJson(report) : asText(report, context.terminal));
    if (report.unread === undefined) return 0;
    context.terminal.say(
      `qalign: only the description of the model is shown: ${report.unread.message} [${report.unread.code}]`,
    );
    return 1;
  },
});

export const models = defineGroup({
  name: 'models',
  summary: 'list, fetch and inspect models',
  commands: [list, pull, inspect],
});

async function look(
  { args, terminal, log, signal }: Pick<CommandContext, 'args' | 'terminal' | 'log' | 'signal'>,
  flags: FlagValues<typeof FLAGS>,
): Promise<ModelReport> {
  const [model, ...more] = args;
  if (model === undefined || more.length > 0)
    throw new QalignError('USAGE', 'qalign models: name one model; see "qalign models list".');
  const notice =
    flags.offline === true ? undefined : downloadNotice(await chooseModel({ model, revision: flags.revision }));
  if (notice !== undefined) terminal.say(`qalign: ${notice}`);
  const report = await inspectModel({
    model,
    revision: flags.revision,
    offline: flags.offline,
    log,
    signal,
    onProgress: createSetupProgress(terminal),
  });
  terminal.progress(undefined);
  return report;
}

function asText(report: ModelReport, { columns, paint }: Terminal): string {
  const { inspection: found, base } = report;
  const kind = found['kind'] as string | undefined;
  const memory = Object.entries((found['memory_bytes'] ?? {}) as Record<string, number>).map(
    ([precision, bytes]) => `${precision} ${formatBytes(bytes)}`,
  );
  const files = ((found['files'] ?? []) as { name: string; bytes: number }[]).map(
    ({ name, bytes }) => `${name} (${formatBytes(bytes)})`,
  );
  const rows: [string, string | undefined][] = [
    ['model', `${report.id}${report.title === undefined ? '' : `: ${report.title}`}`],
    ['path', found['path'] as string | undefined],
    ['from', found['from'] as string | undefined],
    [
      'kind',
      kind === undefined
        ? undefined
        : `${kind}${base === undefined ? '' : ` on the base model ${String(base['path'])}`}`,
    ],
    [
      'tasks',
      report.tasks === undefined
        ? 'not described; every task is allowed'
        : Object.entries(report.tasks)
            .map(([task, kinds]) => `${task} (${kinds.join(', ')})`)
            .join(', '),
    ],
    ['parameters', found['parameters'] === undefined ? undefined : Number(found['parameters']).toLocaleString('en')],
    ['weights', memory.length === 0 ? undefined : `${memory.join(', ')} of memory`],
    ['views', (found['views'] as string[] | undefined)?.join(', ')],
    ['family', found['family'] as string | undefined],
    ['image size', found['image_size'] === undefined ? undefined : `${JSON.stringify(found['image_size'])} px`],
    ['licence', report.licence ?? 'not described; see the source of the model'],
    ['citation', report.citation],
    ['files', files.length === 0 ? undefined : files.join(', ')],
    [
      'warning',
      report.untrained
        ? 'untrained: its scores mean nothing'
        : report.taught === false
          ? 'not taught to rate: its scores are zero-shot'
          : undefined,
    ],
  ];
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value = '']) => `${labelled(paint('bold', name), 11, [value], columns).join('\n')}\n`)
    .join('');
}
