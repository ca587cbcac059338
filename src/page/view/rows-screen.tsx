import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { ViewRow, ViewSummary } from '../../api/view.js';
import { LEVELS, type ByLevel } from '../../scoring/levels.js';
import { doubtsOf } from '../../scoring/doubts.js';
import { histogramOf } from '../../report/histogram.js';
import { decimal } from '../../report/text.js';
import { getText, SERVICE } from '../session.js';
import { linkTo } from '../route.js';
import { scoreText, whole } from '../parts/format.js';
import { useLoaded } from '../parts/load.js';
import { Plot } from '../parts/plot.js';
import { NoThumb, ResultCells, ResultHead, ROW_HEIGHT } from '../parts/result-list.js';
import { RowFilters } from '../parts/row-filters.js';
import { Problem, Skeleton } from '../parts/states.js';
import { VirtualList } from '../parts/virtual-list.js';
import { arrange, arrangement, problem, restart, rowAt, total, type Arrangement } from './stored-rows.js';

/** The rows of a results file. They stay in the file; the page holds the ones in view. */
export function RowsScreen(): JSX.Element {
  const summary = useLoaded(async () => (await (await getText('/v1/view')).json()) as ViewSummary);
  useEffect(() => {
    if (total.value === undefined) restart();
  }, []);
  const figures = summary.value.value;
  return (
    <>
      <h1 tabIndex={-1} class="item-title">
        <bdi>{figures?.name ?? 'Results'}</bdi>
      </h1>
      {summary.problem.value !== undefined && <Problem text={summary.problem.value} retry={summary.reload} />}
      {figures !== undefined && <Figures of={figures} />}
      {problem.value !== undefined && <Problem text={problem.value} retry={restart} />}
      {total.value === undefined && problem.value === undefined && <Skeleton />}
      {figures !== undefined && <Filters figures={figures} />}
      {total.value !== undefined && (
        <VirtualList
          count={total.value}
          height={ROW_HEIGHT}
          label="Results"
          head={<Head />}
          row={(place) => <Line row={rowAt(place)} />}
        />
      )}
      <p class="soft" role="status" aria-live="polite">
        {total.value === undefined ? '' : `${whole(total.value)} ${total.value === 1 ? 'row' : 'rows'} shown`}
      </p>
    </>
  );
}

const EDGES = { mos5: [1, 5], unit: [0, 1], percent: [0, 100] } as const;

function Figures({
  of: { rows, scored, failed, doubtful, mean, models, histogram, scale, cut },
}: {
  readonly of: ViewSummary;
}): JSX.Element {
  const range = scale === null ? undefined : EDGES[scale];
  return (
    <>
      <p>
        <strong>{whole(rows)}</strong> rows, {whole(scored)} scored, {whole(failed)} failed, {whole(doubtful)} doubtful
        {mean !== null && `, mean ${decimal(mean, 3)}`}
        {models.length > 0 && <span class="soft"> by {models.join(', ')}</span>}
      </p>
      {cut && <p class="note">The last line of the file is not complete and is left out.</p>}
      {histogram !== null && (
        <details class="spread">
          <summary>Distribution of the scores</summary>
          <Plot
            svg={histogramOf(histogram, {
              xLabel: 'score',
              yLabel: 'rows',
              range,
              marks: range === undefined ? [] : [0.2, 0.4, 0.6, 0.8].map((at) => range[0] + at * (range[1] - range[0])),
              parts: range === undefined ? [] : [...LEVELS].reverse(),
            })}
          />
        </details>
      )}
    </>
  );
}

function Filters({ figures }: { readonly figures: ViewSummary }): JSX.Element {
  const choices: readonly (readonly [Arrangement['show'], string])[] = [
    ['all', 'all rows'],
    ['scored', `scored (${whole(figures.scored)})`],
    ['doubtful', `doubtful (${whole(figures.doubtful)})`],
    ['failed', `failed (${whole(figures.failed)})`],
  ];
  return (
    <div class="tools">
      <RowFilters text={arrangement.value.text} show={arrangement.value.show} choices={choices} onChange={arrange} />
    </div>
  );
}

function Head(): JSX.Element {
  const { sort: key, down } = arrangement.value;
  return <ResultHead sort={{ key, down }} onSort={(next) => arrange({ sort: next.key, down: next.down })} />;
}

function Line({ row }: { readonly row: ViewRow | undefined }): JSX.Element {
  if (row === undefined)
    return (
      <>
        <span role="cell" class="c-thumb">
          <span class="thumb thumb-wait" />
        </span>
        <span role="cell" class="c-name soft">
          loading
        </span>
      </>
    );
  return (
    <ResultCells
      name={row.input}
      href={linkTo('rows', String(row.n))}
      task={row.task}
      thumb={<Thumb row={row} />}
      score={row.score === null ? undefined : scoreText(row.score, row.scale ?? 'mos5')}
      level={row.level ?? undefined}
      probs={row.level_probs === null ? undefined : byLevel(row.level_probs)}
      notes={notesOf(row)}
      failure={row.error ?? undefined}
      model={row.model ?? undefined}
      version={row.score_version ?? undefined}
    />
  );
}

export const byLevel = (probs: readonly number[]): ByLevel =>
  Object.fromEntries(LEVELS.map((level, i) => [level, probs[i] ?? 0])) as unknown as ByLevel;

export const notesOf = ({ warnings, level_mass, entropy, error }: ViewRow): string[] =>
  error === null ? doubtsOf({ warnings, level_mass: level_mass ?? 1, entropy: entropy ?? 0 }) : [];

export const pictureOf = (n: number, side: number): string => `${SERVICE}/v1/view/rows/${n}/picture?side=${side}`;

/** The picture, if it is still there; a clip and a missing file have the ending of their name. */
function Thumb({ row: { n, input } }: { readonly row: ViewRow }): JSX.Element {
  const isMissing = useSignal<number | undefined>(undefined);
  const ending = /\.(\w{1,5})$/.exec(input)?.[1]?.toLowerCase() ?? 'file';
  if (isMissing.value === n || CLIPS.includes(ending)) return <NoThumb ending={ending} />;
  return <img class="thumb" src={pictureOf(n, 112)} alt="" loading="lazy" onError={() => void (isMissing.value = n)} />;
}

/** Endings of clips, whose first frame is decoded only in the view of one row. */
const CLIPS: readonly string[] = [
  'mp4',
  'm4v',
  'mov',
  'mkv',
  'webm',
  'avi',
  'mpg',
  'mpeg',
  'ts',
  'ogv',
  'flv',
  'wmv',
  '3gp',
];
