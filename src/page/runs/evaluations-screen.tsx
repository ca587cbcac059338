import type { JSX } from 'preact';
import type { Evaluation, EvaluationList } from '../../api/runs.js';
import { decimal } from '../../report/text.js';
import { getText, viewing } from '../session.js';
import { linkTo } from '../route.js';
import { moment } from '../parts/format.js';
import { useLoaded } from '../parts/load.js';
import { Empty, Problem, Skeleton, Status } from '../parts/states.js';
import { TableHead } from '../parts/table-head.js';
import { EvaluationScreen } from './evaluation-screen.js';

const load = async (): Promise<readonly Evaluation[]> =>
  ((await (await getText('/v1/evaluations?limit=200')).json()) as EvaluationList).evaluations;

export function EvaluationsScreen(): JSX.Element {
  const { value, problem, reload } = useLoaded(load, viewing === undefined ? 3000 : undefined);
  const evaluations = value.value;
  const [only] = evaluations ?? [];
  if (viewing !== undefined && only !== undefined) return <EvaluationScreen id={only.id} />;
  return (
    <>
      <h1 tabIndex={-1}>Evaluations</h1>
      {problem.value !== undefined && <Problem text={problem.value} retry={reload} />}
      {evaluations === undefined && problem.value === undefined && <Skeleton />}
      {evaluations?.length === 0 && (
        <Empty title="No evaluations yet">
          <p>
            An evaluation measures how well scores agree with mean opinion scores. Start one with{' '}
            <code>POST /v1/evaluations</code>. For those of the command line, use <code>qalign view FOLDER</code>.
          </p>
        </Empty>
      )}
      {evaluations !== undefined && evaluations.length > 0 && <List evaluations={evaluations} />}
    </>
  );
}

function List({ evaluations }: { readonly evaluations: readonly Evaluation[] }): JSX.Element {
  return (
    <div class="wide" tabIndex={0} role="region" aria-label="Evaluations">
      <table class="rows">
        <TableHead
          columns={['Evaluation', 'Status', 'Model', 'Data sets', 'SRCC', 'PLCC', 'Created']}
          numbers={['SRCC', 'PLCC']}
        />
        <tbody>
          {evaluations.map(({ id, name, status, result, created_at: created }) => (
            <tr key={id}>
              <td>
                <a href={linkTo('evaluations', id)}>
                  <bdi>{name}</bdi>
                </a>
              </td>
              <td>
                <Status status={status} />
              </td>
              <td>{result?.model ?? '–'}</td>
              <td>{result?.datasets.map(({ dataset }) => <div key={dataset}>{dataset}</div>) ?? '–'}</td>
              <td class="n">
                {result?.datasets.map(({ dataset, metrics }) => (
                  <div key={dataset}>{decimal(metrics.srcc)}</div>
                ))}
              </td>
              <td class="n">
                {result?.datasets.map(({ dataset, metrics }) => (
                  <div key={dataset}>{decimal(metrics.plcc)}</div>
                ))}
              </td>
              <td>{moment(created)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
