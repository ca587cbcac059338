import type { JSX } from 'preact';
import type { ScoreOutcome } from '../../api/result.js';
import { LevelBars } from '../parts/level-bars.js';
import { scoreText } from '../parts/format.js';
import { Warning } from '../parts/warning.js';
import { doubts, failureOf, resultOf, sort, type SortKey } from './rows.js';
import { thumbnailOf } from './thumbnails.js';

export const ROW_HEIGHT = 68;

/** The columns of every list of scores. */
export function ResultHead(): JSX.Element {
  return (
    <>
      <span role="columnheader" class="c-thumb">
        <span class="hidden">Picture</span>
      </span>
      <Sorted column="name" label="Name" class="c-name" />
      <Sorted column="score" label="Score" class="c-score" />
      <Sorted column="entropy" label="Levels" class="c-bars" hint="sorts by entropy" />
      <Sorted column="level_mass" label="Notes" class="c-notes" hint="sorts by level_mass" />
      <span role="columnheader" class="c-model">
        Model, version
      </span>
    </>
  );
}

function Sorted(props: {
  readonly column: SortKey;
  readonly label: string;
  readonly class: string;
  readonly hint?: string;
}): JSX.Element {
  const { key, down } = sort.value;
  const isOn = key === props.column;
  const next = (): void => {
    sort.value = !isOn
      ? { key: props.column, down: false }
      : down
        ? { key: 'order', down: false }
        : { key: props.column, down: true };
  };
  return (
    <span role="columnheader" class={props.class} aria-sort={isOn ? (down ? 'descending' : 'ascending') : 'none'}>
      <button type="button" class="sort" onClick={next} title={props.hint}>
        {props.label}
        <span aria-hidden="true">{isOn ? (down ? '↓' : '↑') : ''}</span>
      </button>
    </span>
  );
}

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
    <>
      <span role="cell" class="c-thumb">
        {thumb}
      </span>
      <span role="cell" class="c-name">
        <a href={href} title={name}>
          <bdi>{name}</bdi>
        </a>
        <span class="soft">{task}</span>
      </span>
      <span role="cell" class="c-score">
        {result !== undefined && (
          <>
            <strong>{scoreText(result.score, result.scale)}</strong>
            <span class="soft">{result.level}</span>
          </>
        )}
        {outcome === undefined && <span class="soft pending">{state === 'sent' ? 'scoring' : 'waiting'}</span>}
        {failure !== undefined && <span class="failed">failed</span>}
      </span>
      <span role="cell" class="c-bars">
        {result !== undefined && <LevelBars probs={result.level_probs} />}
      </span>
      <span role="cell" class="c-notes">
        {notes.length > 0 && <Warning text={notes.join(' ')} />}
        {failure !== undefined && (
          <span class="failed-text" title={failure.message}>
            <code>{failure.code}</code> {failure.message}
          </span>
        )}
        {failure !== undefined && retry !== undefined && (
          <button type="button" class="small" onClick={retry} aria-label={`Retry ${name}`}>
            Retry
          </button>
        )}
      </span>
      <span role="cell" class="c-model soft">
        {result !== undefined && (
          <>
            <span>{result.model.id}</span>
            <code>{result.score_version}</code>
          </>
        )}
      </span>
    </>
  );
}

/** A small picture of a dropped file, or its ending where the browser cannot show it. */
export function FileThumb({ file, name }: { readonly file: File | undefined; readonly name: string }): JSX.Element {
  const url = file === undefined ? null : thumbnailOf(file).value;
  if (url === undefined) return <span class="thumb thumb-wait" aria-hidden="true" />;
  if (url === null) return <NoThumb name={name} />;
  return <img class="thumb" src={url} alt="" />;
}

function NoThumb({ name }: { readonly name: string }): JSX.Element {
  const ending = /\.(\w{1,5})$/.exec(name)?.[1] ?? 'file';
  return (
    <span class="thumb thumb-none" aria-hidden="true">
      {ending}
    </span>
  );
}
