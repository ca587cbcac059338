import type { DatasetRecord } from '../../bridge/protocol/record.js';
import { pythonDigits, type Rating } from './rating.js';
import type { RecordText } from './record-sink.js';

export interface LlavaOptions {
  /** The part before `->` in the id. The authors use the name, or the media path (LIVE Challenge, LSVQ). */
  readonly id: 'name' | 'media';
  /** Also write `gt_score` for the published evaluation code. */
  readonly gtScore: boolean;
}

/** Start, separator and end of the published lists of records, as written by Python's `json.dump(…, indent=4)`. */
export const LLAVA_TEXT: RecordText = { extension: '.json', start: '[\n', between: ',\n', end: '\n]', empty: '[]' };

/** Formats one element with the same bytes as in the published files. The score keeps the digits of the source. */
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

/** Formats a JSON string in ASCII, like Python does by default. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
