import type { ComponentChildren, JSX } from 'preact';
import type { ByLevel } from '../../scoring/levels.js';
import { LevelBars } from './level-bars.js';
import { Warning } from './warning.js';

export const ROW_HEIGHT = 68;

export type SortKey = 'order' | 'score' | 'name' | 'entropy' | 'level_mass';
export interface Sort {
  readonly key: SortKey;
  readonly down: boolean;
}
interface Sorting {
  readonly sort: Sort;
  readonly onSort: (next: Sort) => void;
}

/** The columns of every list of scores. A column sorts upwards, then downwards, then not at all. */
export function ResultHead(sorting: Sorting): JSX.Element {
  return (
    <>
      <span role="columnheader" class="c-thumb">
        <span class="hidden">Picture</span>
      </span>
      <Sorted {...sorting} column="name" label="Name" class="c-name" />
      <Sorted {...sorting} column="score" label="Score" class="c-score" />
      <Sorted {...sorting} column="entropy" label="Levels" class="c-bars" hint="sorts by entropy" />
      <Sorted {...sorting} column="level_mass" label="Notes" class="c-notes" hint="sorts by level_mass" />
      <span role="columnheader" class="c-model">
        Model, version
      </span>
    </>
  );
}

interface SortedProps extends Sorting {
  readonly column: SortKey;
  readonly label: string;
  readonly class: string;
  readonly hint?: string;
}

function Sorted({ sort: { key, down }, onSort, column, label, hint, ...rest }: SortedProps): JSX.Element {
  const isOn = key === column;
  const next = (): void => onSort(isOn && down ? { key: 'order', down: false } : { key: column, down: isOn });
  return (
    <span role="columnheader" class={rest.class} aria-sort={isOn ? (down ? 'descending' : 'ascending') : 'none'}>
      <button type="button" class="sort" onClick={next} title={hint}>
        {label}
        <span aria-hidden="true">{isOn ? (down ? '↓' : '↑') : ''}</span>
      </button>
    </span>
  );
}

interface ResultCellsProps {
  readonly name: string;
  readonly href: string;
  readonly task: string | null;
  readonly thumb: JSX.Element;
  /** The score as text; undefined before it is known. */
  readonly score?: string | undefined;
  readonly level?: string | undefined;
  readonly probs?: ByLevel | undefined;
  readonly notes: readonly string[];
  readonly failure?: { readonly code: string; readonly message: string } | undefined;
  readonly model?: string | undefined;
  readonly version?: string | undefined;
  /** For example "waiting". */
  readonly pending?: string | undefined;
  /** Buttons beside a failure. */
  readonly children?: ComponentChildren;
}

/** One scored, failed or waiting input. */
export function ResultCells(row: ResultCellsProps): JSX.Element {
  const { name, href, task, thumb, score, level, probs, notes, failure, model, version, pending, children } = row;
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
        {score !== undefined && <strong>{score}</strong>}
        {level !== undefined && <span class="soft">{level}</span>}
        {pending !== undefined && <span class="soft pending">{pending}</span>}
        {failure !== undefined && <span class="failed">failed</span>}
      </span>
      <span role="cell" class="c-bars">
        {probs !== undefined && <LevelBars probs={probs} />}
      </span>
      <span role="cell" class="c-notes">
        {notes.length > 0 && <Warning text={notes.join(' ')} />}
        {failure !== undefined && (
          <span class="failed-text" title={failure.message}>
            <code>{failure.code}</code> {failure.message}
          </span>
        )}
        {children}
      </span>
      <span role="cell" class="c-model soft">
        {model !== undefined && <span>{model}</span>}
        {version !== undefined && <code>{version}</code>}
      </span>
    </>
  );
}

/** In place of a picture that the browser cannot show. */
export function NoThumb({ ending }: { readonly ending: string }): JSX.Element {
  return (
    <span class="thumb thumb-none" aria-hidden="true">
      {ending}
    </span>
  );
}
