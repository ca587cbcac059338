import { LEAK_KINDS, type LeakKind } from '../../datasets/leaks.js';
import { QalignError } from '../../base/errors.js';
import { checkDataset } from '../../recipes/data/check.js';
import { defineCommand } from '../command.js';
import { progressLine } from '../terminal/progress.js';
import { asJson } from '../terminal/json.js';

const SHOWN = 20;

export const check = defineCommand({
  name: 'dataset check',
  summary: 'find pictures that are in both parts of a split',
  args: 'RECORDS…',
  description: [
    'Compares records of different splits, within and across data sets. A file without splits counts as one split.',
    'exact: the same bytes; perceptual: similar pictures; reference: the same reference image; base_name: the same file name, which can be chance.',
    'Exit code 0: no leaks found; 1: leaks found, or some media could not be compared.',
  ].join('\n'),
  examples: [
    'qalign dataset check data/koniq/train.jsonl data/koniq/test.jsonl',
    'qalign dataset check data/*/train.jsonl data/*/test.jsonl --only exact,perceptual --json',
  ],
  flags: {
    media: {
      type: 'string',
      value: 'DIR',
      help: 'folder that media paths are relative to (default: the folder of each file)',
    },
    only: { type: 'string', value: 'KIND,…', help: `kinds of leaks to find: ${LEAK_KINDS.join(', ')} (default: all)` },
    distance: {
      type: 'number',
      value: 'BITS',
      help: 'maximum Hamming distance of the 64-bit perceptual hashes of similar pictures, 0 to 63 (default: 6)',
    },
    json: { type: 'boolean', help: 'print all pairs as JSON' },
  },
  async run({ args, flags, terminal, signal }) {
    const started = performance.now();
    const result = await checkDataset({
      records: args,
      media: flags.media,
      kinds: readKinds(flags.only),
      distance: readDistance(flags.distance),
      signal,
      onProgress: (done, total) =>
        terminal.progress(progressLine({ done, failed: 0, total, elapsedMs: performance.now() - started })),
    });
    terminal.progress(undefined);
    if (flags.json) await terminal.out(asJson(result));
    else await terminal.out(`${describe(result).join('\n')}\n`);
    if (result.not_compared.length > 0)
      terminal.say(
        `${result.not_compared.length} files could not be compared. First error: ${result.not_compared[0]?.message ?? ''} Name their folder with --media, or leave them out with --only reference,base_name.`,
      );
    return result.leaks.length > 0 || result.not_compared.length > 0 ? 1 : 0;
  },
});

function describe({ sides, leaks, counts }: Awaited<ReturnType<typeof checkDataset>>): string[] {
  const lines = [`compared ${sides.map(({ side, records }) => `${side} (${records})`).join(', ')}`];
  for (const kind of LEAK_KINDS) {
    if (counts[kind] === 0) continue;
    lines.push(`${kind}: ${counts[kind]} ${counts[kind] === 1 ? 'pair' : 'pairs'}`);
    for (const { a, b, distance } of leaks.filter((leak) => leak.kind === kind).slice(0, SHOWN)) {
      lines.push(
        `  ${a.dataset} ${a.side} ${a.id}  =  ${b.dataset} ${b.side} ${b.id}${distance === undefined ? '' : `  (${distance} bits apart)`}`,
      );
    }
    if (counts[kind] > SHOWN) lines.push(`  … and ${counts[kind] - SHOWN} more; --json lists them all`);
  }
  return leaks.length === 0 ? [...lines, 'no leaks found'] : lines;
}

function readKinds(text: string | undefined): LeakKind[] | undefined {
  if (text === undefined) return undefined;
  return text.split(',').map((word) => {
    const kind = LEAK_KINDS.find((each) => each === word.trim().replace('-', '_'));
    if (kind === undefined)
      throw new QalignError('USAGE', `--only ${text}: "${word}" must be one of ${LEAK_KINDS.join(', ')}.`);
    return kind;
  });
}

function readDistance(bits: number | undefined): number | undefined {
  if (bits !== undefined && !(Number.isInteger(bits) && bits >= 0 && bits <= 63))
    throw new QalignError('USAGE', `--distance ${bits} must be a whole number of bits from 0 to 63.`);
  return bits;
}
