import type { JSX } from 'preact';
import type { EvaluationOutliers, EvaluationPoints } from '../../api/curves.js';
import type { Evaluation } from '../../api/runs.js';
import { scatter } from '../../report/plots.js';
import { decimal, signed, withInterval } from '../../report/text.js';
import { logisticAt } from '../../scoring/statistics/logistic.js';
import type { Metrics } from '../../scoring/statistics/metrics.js';
import { getText } from '../session.js';
import { whole } from '../parts/format.js';
import { useLoaded } from '../parts/load.js';
import { Plot } from '../parts/plot.js';
import { Problem, Skeleton } from '../parts/states.js';
import { TableHead } from '../parts/table-head.js';

type Datasets = NonNullable<Evaluation['result']>['datasets'];

const COLUMNS = {
  srcc: 'SRCC',
  plcc: 'PLCC',
  plcc_logistic: 'PLCC (logistic)',
  krcc: 'KRCC',
  rmse: 'RMSE (logistic)',
  level_accuracy: 'Level accuracy',
} as const;
const NAMES = Object.keys(COLUMNS) as (keyof typeof COLUMNS)[];

/** Agreement with the ratings, with 95 % intervals. */
export function AgreementTable({ datasets }: { readonly datasets: Datasets }): JSX.Element {
  return (
    <section>
      <h2>Agreement with the ratings</h2>
      <div class="wide" tabIndex={0} role="region" aria-label="Agreement with the ratings">
        <table class="rows">
          <TableHead
            columns={['Data set', 'Items', ...Object.values(COLUMNS)]}
            numbers={['Items', ...Object.values(COLUMNS)]}
          />
          <tbody>
            {datasets.map(({ dataset, records, metrics }) => (
              <tr key={dataset}>
                <td>{dataset}</td>
                <td class="n">{metrics.n === records ? whole(records) : `${whole(metrics.n)} of ${whole(records)}`}</td>
                {NAMES.map((name) => (
                  <td class="n" key={name}>
                    <Value metrics={metrics as unknown as Metrics} name={name} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="soft">Brackets: 95 % intervals by bootstrap. A dash means that the value cannot be computed.</p>
    </section>
  );
}

function Value({ metrics, name }: { readonly metrics: Metrics; readonly name: keyof typeof COLUMNS }): JSX.Element {
  const interval = metrics.intervals?.[name] ?? null;
  const [value = '', ...rest] = withInterval(metrics[name], interval).split(' [');
  return (
    <>
      {value}
      {rest.length > 0 && <span class="soft interval">[{rest.join(' [')}</span>}
    </>
  );
}

/** Predicted scores against the ratings of each data set. */
export function Scatters({ id, datasets }: { readonly id: string; readonly datasets: Datasets }): JSX.Element {
  const { value, problem, reload } = useLoaded(
    async () => (await (await getText(`/v1/evaluations/${id}/points`)).json()) as EvaluationPoints,
  );
  return (
    <section>
      <h2>Predicted score and MOS</h2>
      {problem.value !== undefined && <Problem text={problem.value} retry={reload} />}
      {value.value === undefined && problem.value === undefined && <Skeleton />}
      <div class="charts">
        {value.value?.datasets.map(({ dataset, ...points }) => {
          if (points.problem !== null) return <Problem key={dataset} text={`${dataset}: ${points.problem}`} />;
          const metrics = datasets.find((one) => one.dataset === dataset)?.metrics as Metrics | undefined;
          return (
            <Plot
              key={dataset}
              svg={scatterOf(points, metrics?.logistic ?? null)}
              caption={`${dataset}: ${points.score.length < points.total ? `${whole(points.score.length)} of ` : ''}${whole(points.total)} items.${metrics?.logistic ? ' The curve is the fitted logistic function.' : ''}`}
            />
          );
        })}
      </div>
    </section>
  );
}

function scatterOf(
  { score, mos, ids }: Pick<EvaluationPoints['datasets'][number], 'score' | 'mos' | 'ids'>,
  logistic: Metrics['logistic'],
): string {
  return scatter({
    points: score.map((x, i) => ({
      x,
      y: mos[i]!,
      label: `${ids[i]}: score ${decimal(x, 2)}, MOS ${decimal(mos[i], 2)}`,
    })),
    curve: logistic === null ? undefined : (x) => logisticAt(logistic, x),
    xLabel: 'predicted score',
    yLabel: 'MOS',
  });
}

/** The items whose scores are farthest from the ratings, as pictures where the service can read them. */
export function Outliers({ id }: { readonly id: string }): JSX.Element {
  const { value, problem, reload } = useLoaded(
    async () => (await (await getText(`/v1/evaluations/${id}/outliers?pictures=true`)).json()) as EvaluationOutliers,
  );
  return (
    <section>
      <h2>Largest differences</h2>
      {problem.value !== undefined && <Problem text={problem.value} retry={reload} />}
      {value.value === undefined && problem.value === undefined && <Skeleton />}
      {value.value?.datasets.map(({ dataset, worst }) => (
        <section key={dataset}>
          <h3>{dataset}</h3>
          {worst.length === 0 && <p class="soft">There is no fitted curve from which differences are measured.</p>}
          <ul class="thumbs">
            {worst.map(({ index, id: record, mos, score, error, picture }) => (
              <li key={index}>
                {picture === null ? (
                  <span class="no-picture soft">no picture</span>
                ) : (
                  <img src={picture} alt={record} loading="lazy" />
                )}
                <span>
                  off by <strong>{signed(error, 2)}</strong>
                </span>
                <span class="soft">
                  score {decimal(score, 2)}, MOS {decimal(mos, 2)}
                </span>
                <span class="soft id" title={record}>
                  <bdi>{record}</bdi>
                </span>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </section>
  );
}
