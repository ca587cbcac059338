import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { ViewItem, ViewRow } from '../../api/view.js';
import { getText } from '../session.js';
import { linkTo } from '../route.js';
import { scoreText } from '../parts/format.js';
import { LevelTable } from '../parts/level-bars.js';
import { useLoaded } from '../parts/load.js';
import { Neighbours } from '../parts/neighbours.js';
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
      <RowNeighbours n={Number(n)} />
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

/** Links in the arrangement of the list. A row that is opened by its address has none. */
function RowNeighbours({ n }: { readonly n: number }): JSX.Element {
  const place = placeOf(n);
  const rowBeside = (step: number): string | undefined => {
    const beside = place === undefined || place + step < 0 ? undefined : rowAt(place + step);
    return beside === undefined ? undefined : linkTo('rows', String(beside.n));
  };
  return <Neighbours label="Rows" all="All rows" before={rowBeside(-1)} after={rowBeside(1)} />;
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
