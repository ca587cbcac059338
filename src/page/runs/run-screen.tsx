import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { TrainRun } from '../../api/runs.js';
import { decimal } from '../../report/text.js';
import { apiKey, client, explain, viewing } from '../session.js';
import { moment, whole } from '../parts/format.js';
import { Problem, Progress, Skeleton, Status } from '../parts/states.js';
import { Charts } from './charts.js';
import { followRun, type FollowedRun } from './follow-run.js';

export function RunScreen({ id }: { readonly id: string }): JSX.Element {
  const followed = useSignal<FollowedRun | undefined>(undefined);
  useEffect(() => {
    const now = followRun(id);
    followed.value = now;
    return now.stop;
  }, [apiKey.value]);
  const { run, curves, note, problem, isLost, reload } = followed.value ?? {};
  return (
    <>
      <nav class="crumbs" aria-label="Runs">
        <a href="#/runs">All runs</a>
      </nav>
      <h1 tabIndex={-1} class="item-title">
        <bdi>{run?.value === undefined ? id : (run.value.run ?? run.value.name)}</bdi>
      </h1>
      {problem?.value !== undefined && <Problem text={problem.value} retry={reload} />}
      {isLost?.() === true && (
        <p class="note" role="status">
          The connection is lost. The page reconnects.
        </p>
      )}
      {run?.value === undefined && problem?.value === undefined && <Skeleton />}
      {run?.value !== undefined && reload !== undefined && (
        <>
          <RunHead run={run.value} note={note?.value} reload={reload} />
          {curves?.value !== undefined && <Charts runs={[{ name: run.value.name, curves: curves.value }]} />}
          <Recipe of={run.value.recipe} />
        </>
      )}
    </>
  );
}

function RunHead({
  run,
  note,
  reload,
}: {
  readonly run: TrainRun;
  readonly note: string | undefined;
  readonly reload: () => void;
}): JSX.Element {
  const total = run.total_steps;
  return (
    <>
      <p>
        <Status status={run.status} /> step {whole(run.step)}
        {total !== null && ` of ${whole(total)}`}, loss {decimal(run.loss)}, SRCC {decimal(run.srcc)}, PLCC{' '}
        {decimal(run.plcc)}
      </p>
      {total !== null && <Progress done={run.step} total={total} label="Progress" />}
      <p class="hidden" role="status" aria-live="polite">
        {run.finished_at === null ? '' : `The run is ${run.status}.`}
      </p>
      {run.message !== null && <p class="note">{run.message}</p>}
      {note !== undefined && <p class="soft">{note}</p>}
      <p class="soft">
        recipe {run.name}, created {moment(run.created_at)}
        {run.finished_at !== null && `, ended ${moment(run.finished_at)}`}
      </p>
      {viewing === undefined && <StopResume kind="trainRuns" run={run} onChange={reload} />}
    </>
  );
}

/** Stops an active run or evaluation, and resumes one that did not complete. */
export function StopResume({
  kind,
  run: { id, status },
  onChange,
}: {
  readonly kind: 'trainRuns' | 'evaluations';
  readonly run: Pick<TrainRun, 'id' | 'status'>;
  readonly onChange: () => void;
}): JSX.Element | null {
  const problem = useSignal<string | undefined>(undefined);
  const act = async (verb: 'stop' | 'resume'): Promise<void> => {
    try {
      await client.value[kind][verb](id);
      problem.value = undefined;
      onChange();
    } catch (error) {
      problem.value = explain(error);
    }
  };
  if (status === 'completed') return null;
  const verb = status === 'queued' || status === 'running' ? 'stop' : 'resume';
  return (
    <>
      <div class="actions">
        <button type="button" onClick={() => void act(verb)}>
          {verb === 'stop' ? 'Stop' : 'Resume'}
        </button>
      </div>
      {problem.value !== undefined && <Problem text={problem.value} />}
    </>
  );
}

/** The resolved recipe, as stored with the run. */
export function Recipe({ of }: { readonly of: object | undefined }): JSX.Element | null {
  if (of === undefined) return null;
  return (
    <details class="recipe">
      <summary>Recipe</summary>
      <pre tabIndex={0}>{JSON.stringify(of, null, 2)}</pre>
    </details>
  );
}
