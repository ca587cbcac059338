import type { DatasetRecord } from '../../bridge/protocol/record.js';
import { pythonDigits, type Rating } from './rating.js';
import type { RecordText } from './record-sink.js';

export interface LlavaOptions {
  /** What stands before `->` in the id: the authors use the name, or the media path (LIVE Challenge, LSVQ). */
  readonly id: 'name' | 'media';
  /** Also write `gt_score`, which the published evaluation reads. */
  readonly gtScore: boolean;
}

/** Start, separator and end of the published list of records, which Python wrote with `json.dump(…, indent=4)`. */
export const LLAVA_TEXT: RecordText = { extension: '.json', start: '[\n', between: ',\n', end: '\n]', empty: '[]' };

/** One element, byte by byte as in the published files; the score keeps the source's own digits. */
export function llavaElement(record: DatasetRecord, rating: Rating, { id, gtScore }: LlavaOptions): string {
  const digits = rating.digits ?? pythonDigits(rating.mos);
  const label = `${id === 'name' ? rating.name : record.media}->${digits}`;
  const turn = (from: string, value: string): string =>
    `            {\n                "from": "${from}",\n                "value": ${quoted(value)}\n            }`;
  const lines = [
    `        "id": ${quoted(label)}`,
    `        "image": ${quoted(record.media)}`,
    `        "conversations": [\n${turn('human', record.question)},\n${turn('gpt', record.answer)}\n        ]`,
  ];
  if (gtScore) lines.push(`        "gt_score": ${digits}`);
  return `    {\n${lines.join(',\n')}\n    }`;
}

/** A JSON text in ASCII, as Python writes it by default. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
