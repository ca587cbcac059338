import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { ViewItem, ViewRow } from '../../api/view.js';
import { getText } from '../session.js';
import { linkTo } from '../route.js';
import { scoreText } from '../parts/format.js';
import { LevelTable } from '../parts/level-bars.js';
import { useLoaded } from '../parts/load.js';
import { Problem, Skeleton } from '../parts/states.js';
import { Warning } from '../parts/warning.js';
import { byLevel, notesOf, pictureOf } from './rows-screen.js';
import { placeOf, rowAt } from './stored-rows.js';

/** One stored row: its picture, its levels and every field of the file. */
export function RowScreen({ n }: { readonly n: string }): JSX.Element {
  const { value, problem, reload } = useLoaded(
    async () => (await (await getText(`/v1/view/rows/${encodeURIComponent(n)}`)).json()) as ViewItem,
  );
  const item = value.value;
  return (
    <>
      <Neighbours n={Number(n)} />
      <h1 tabIndex={-1} class="item-title">
        <bdi>{item?.row.input ?? `Row ${n}`}</bdi>
      </h1>
      {problem.value !== undefined && <Problem text={problem.value} retry={reload} />}
      {item === undefined && problem.value === undefined && <Skeleton />}
      {item !== undefined && (
        <div class="item">
          <Picture row={item.row} />
          <Details item={item} />
        </div>
      )}
    </>
  );
}

/** Links to the rows before and after in the arrangement of the list; the arrow keys do the same. */
function Neighbours({ n }: { readonly n: number }): JSX.Element {
  const place = placeOf(n);
  const before = place === undefined || place === 0 ? undefined : rowAt(place - 1)?.n;
  const after = place === undefined ? undefined : rowAt(place + 1)?.n;
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.target !== document.body && !(event.target as Element).matches('h1')) return;
      const to = event.key === 'ArrowLeft' ? before : event.key === 'ArrowRight' ? after : undefined;
      if (to !== undefined) location.hash = linkTo('rows', String(to));
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [before, after]);
  const link = (to: number | undefined, text: string): JSX.Element =>
    to === undefined ? <span class="soft">{text}</span> : <a href={linkTo('rows', String(to))}>{text}</a>;
  return (
    <nav class="crumbs" aria-label="Rows">
      <a href="#/">All rows</a>
      {link(before, 'Previous')}
      {link(after, 'Next')}
    </nav>
  );
}

function Picture({ row: { n, input } }: { readonly row: ViewRow }): JSX.Element {
  const isMissing = useSignal(false);
  if (isMissing.value)
    return (
      <div class="picture picture-none">
        <p class="soft">The file of this row is not on this machine, or it is not a picture.</p>
      </div>
    );
  return (
    <div class="picture">
      <img src={pictureOf(n, 1600)} alt={input} onError={() => void (isMissing.value = true)} />
    </div>
  );
}

function Details({ item: { row, fields } }: { readonly item: ViewItem }): JSX.Element {
  return (
    <div class="details">
      {row.score !== null && (
        <p class="big-score">
          <strong>{scoreText(row.score, row.scale ?? 'mos5')}</strong>
          <span>
            {row.level}
            <span class="soft">{[row.task, row.model].filter((text) => text !== null).join(', ')}</span>
          </span>
        </p>
      )}
      {row.level_probs !== null && <LevelTable probs={byLevel(row.level_probs)} />}
      {notesOf(row).map((text) => (
        <Warning key={text} text={text} />
      ))}
      {row.error !== null && (
        <p class="problem" role="alert">
          <code>{row.error.code}</code> {row.error.message}
        </p>
      )}
      <details open>
        <summary>Fields of row {row.n}</summary>
        <dl class="pairs">
          {Object.entries(fields).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                <code>{typeof value === 'string' ? value : JSON.stringify(value, null, 1)}</code>
              </dd>
            </div>
          ))}
        </dl>
      </details>
    </div>
  );
}
