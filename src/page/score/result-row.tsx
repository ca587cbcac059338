import type { JSX } from 'preact';
import type { ScoreOutcome } from '../../api/result.js';
import { scoreText } from '../parts/format.js';
import { NoThumb, ResultCells } from '../parts/result-list.js';
import { doubts, failureOf, resultOf } from './rows.js';
import { thumbnailOf } from './thumbnails.js';

interface ShownRow {
  readonly name: string;
  readonly href: string;
  readonly task: string;
  readonly outcome: ScoreOutcome | undefined;
  readonly state: string;
  readonly thumb: JSX.Element;
  readonly retry?: (() => void) | undefined;
}

/** One scored, failed or waiting input. */
export function ResultRow({ name, href, task, outcome, state, thumb, retry }: ShownRow): JSX.Element {
  const [result, failure] = [resultOf({ outcome }), failureOf({ outcome })];
  const notes = result === undefined ? [] : doubts(result);
  return (
    <ResultCells
      name={name}
      href={href}
      task={task}
      thumb={thumb}
      score={result && scoreText(result.score, result.scale)}
      level={result?.level}
      probs={result?.level_probs}
      notes={notes}
      failure={failure}
      model={result?.model.id}
      version={result?.score_version}
      pending={outcome === undefined ? (state === 'sent' ? 'scoring' : 'waiting') : undefined}
    >
      {failure !== undefined && retry !== undefined && (
        <button type="button" class="small" onClick={retry} aria-label={`Retry ${name}`}>
          Retry
        </button>
      )}
    </ResultCells>
  );
}

/** A small picture of a dropped file, or its ending where the browser cannot show it. */
export function FileThumb({ file, name }: { readonly file: File | undefined; readonly name: string }): JSX.Element {
  const url = file === undefined ? null : thumbnailOf(file).value;
  if (url === undefined) return <span class="thumb thumb-wait" aria-hidden="true" />;
  if (url === null) return <NoThumb ending={/\.(\w{1,5})$/.exec(name)?.[1] ?? 'file'} />;
  return <img class="thumb" src={url} alt="" />;
}
