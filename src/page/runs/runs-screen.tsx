import { signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { TrainRun, TrainRunList } from '../../api/runs.js';
import { decimal } from '../../report/text.js';
import { getText } from '../session.js';
import { linkTo } from '../route.js';
import { moment, whole } from '../parts/format.js';
import { useLoaded } from '../parts/load.js';
import { Empty, Problem, Progress, Skeleton, Status } from '../parts/states.js';
import { TableHead } from '../parts/table-head.js';
import { Charts } from './charts.js';
import { followRun, type FollowedRun } from './follow-run.js';

/** Runs that are drawn over each other, in the order of selection; undefined: the first ones of the list. */
const selected = signal<readonly string[] | undefined>(undefined);
const MOST_SELECTED = 12;

const load = async (): Promise<readonly TrainRun[]> =>
  ((await (await getText('/v1/train_runs?limit=500')).json()) as TrainRunList).train_runs;

export function RunsScreen(): JSX.Element {
  const { value, problem, reload } = useLoaded(load, 3000);
  const runs = value.value;
  return (
    <>
      <h1 tabIndex={-1}>Runs</h1>
      {problem.value !== undefined && <Problem text={problem.value} retry={reload} />}
      {runs === undefined && problem.value === undefined && <Skeleton />}
      {runs?.length === 0 && (
        <Empty title="No runs yet">
          <p>
            A run is a training. Start one with <code>POST /v1/train_runs</code>. For runs of the command line, use{' '}
            <code>qalign view RUN</code>.
          </p>
        </Empty>
      )}
      {runs !== undefined && runs.length > 0 && <RunList runs={runs} />}
    </>
  );
}

function RunList({ runs }: { readonly runs: readonly TrainRun[] }): JSX.Element {
  const chosen = selected.value ?? runs.slice(0, 2).map(({ id }) => id);
  const toggle = (id: string): void => {
    selected.value = chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id].slice(-MOST_SELECTED);
  };
  return (
    <>
      <div class="wide" tabIndex={0} role="region" aria-label="Runs">
        <table class="rows">
          <TableHead
            columns={['Draw', 'Run', 'Status', 'Progress', 'Loss', 'SRCC', 'PLCC', 'Created']}
            numbers={['Loss', 'SRCC', 'PLCC']}
          />
          <tbody>
            {runs.map((run) => (
              <RunRow key={run.id} run={run} isChosen={chosen.includes(run.id)} toggle={toggle} />
            ))}
          </tbody>
        </table>
      </div>
      <Overlay ids={chosen} />
    </>
  );
}

function RunRow({
  run,
  isChosen,
  toggle,
}: {
  readonly run: TrainRun;
  readonly isChosen: boolean;
  readonly toggle: (id: string) => void;
}): JSX.Element {
  const name = run.run ?? run.name;
  return (
    <tr>
      <td>
        <input type="checkbox" aria-label={`Draw ${name}`} checked={isChosen} onChange={() => toggle(run.id)} />
      </td>
      <td>
        <a href={linkTo('runs', run.id)}>
          <bdi>{name}</bdi>
        </a>
      </td>
      <td>
        <Status status={run.status} />
      </td>
      <td>
        <Progress done={run.step} total={run.total_steps ?? 1} label={`Progress of ${name}`} />
        <span class="soft n">
          {' '}
          {whole(run.step)} / {run.total_steps === null ? '–' : whole(run.total_steps)}
        </span>
      </td>
      <td class="n">{decimal(run.loss)}</td>
      <td class="n">{decimal(run.srcc)}</td>
      <td class="n">{decimal(run.plcc)}</td>
      <td>{moment(run.created_at)}</td>
    </tr>
  );
}

/** The curves of the selected runs, each followed while it is selected. */
function Overlay({ ids }: { readonly ids: readonly string[] }): JSX.Element {
  const followed = useSignal<ReadonlyMap<string, FollowedRun>>(new Map());
  useEffect(() => {
    const before = followed.value;
    for (const [id, one] of before) if (!ids.includes(id)) one.stop();
    followed.value = new Map(ids.map((id) => [id, before.get(id) ?? followRun(id)]));
  }, [ids.join()]);
  useEffect(() => () => followed.value.forEach((one) => one.stop()), []);
  const shown = [...followed.value.values()];
  const drawn = shown.flatMap(({ run, curves }) =>
    run.value === undefined || curves.value === undefined
      ? []
      : [{ name: run.value.run ?? run.value.name, curves: curves.value }],
  );
  return (
    <>
      {shown.map(({ problem }, i) => problem.value !== undefined && <Problem key={i} text={problem.value} />)}
      {ids.length === 0 && <p class="soft">Select runs to draw them.</p>}
      {drawn.length > 0 && <Charts runs={drawn} />}
    </>
  );
}
