import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Evaluation, RunEvent } from '../../api/runs.js';
import { apiKey, client, explain, getText, viewing } from '../session.js';
import { moment, save, whole } from '../parts/format.js';
import { Problem, Progress, Skeleton, Status } from '../parts/states.js';
import { follow, type Followed } from '../work/follow.js';
import { AgreementTable, Scatters, Outliers } from './evaluation-parts.js';
import { Recipe, StopResume } from './run-screen.js';

export function EvaluationScreen({ id }: { readonly id: string }): JSX.Element {
  const evaluation = useSignal<Evaluation | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const latest = useSignal<RunEvent | undefined>(undefined);
  const stream = useSignal<Followed | undefined>(undefined);
  const times = useSignal(0);
  useEffect(() => {
    let isOver = false;
    const caught = (error: unknown): void => void (problem.value = explain(error));
    const load = async (): Promise<void> => {
      const found = await client.value.evaluations.get(id);
      if (isOver) return;
      [evaluation.value, problem.value] = [found, undefined];
      stream.value?.stop();
      if (found.finished_at === null)
        stream.value = follow<RunEvent>((options) => client.value.evaluations.events(id, options), onEvent, caught);
    };
    const onEvent = (event: RunEvent): void => {
      latest.value = event;
      if (event.event === 'end') void load().catch(caught);
    };
    void load().catch(caught);
    return () => {
      isOver = true;
      stream.value?.stop();
    };
  }, [apiKey.value, times.value]);
  const found = evaluation.value;
  return (
    <>
      {viewing === undefined && (
        <nav class="crumbs" aria-label="Evaluations">
          <a href="#/evaluations">All evaluations</a>
        </nav>
      )}
      <h1 tabIndex={-1} class="item-title">
        <bdi>{found?.name ?? id}</bdi>
      </h1>
      {problem.value !== undefined && <Problem text={problem.value} retry={() => void (times.value += 1)} />}
      {stream.value?.isLost.value === true && (
        <p class="note" role="status">
          The connection is lost. The page reconnects.
        </p>
      )}
      {found === undefined ? (
        problem.value === undefined && <Skeleton />
      ) : (
        <>
          <Head evaluation={found} latest={latest.value} reload={() => void (times.value += 1)} />
          {found.result !== null && <Result evaluation={found} result={found.result} />}
          <Recipe of={found.recipe} />
        </>
      )}
    </>
  );
}

function Head({
  evaluation,
  latest,
  reload,
}: {
  readonly evaluation: Evaluation;
  readonly latest: RunEvent | undefined;
  readonly reload: () => void;
}): JSX.Element {
  const { status, message, created_at: created, finished_at: finished, result } = evaluation;
  const { event, dataset, done, total }: Partial<RunEvent> = latest ?? {};
  const isPredicting = finished === null && event === 'predicting' && typeof done === 'number';
  return (
    <>
      <p>
        <Status status={status} />{' '}
        {result !== null && (
          <>
            model {result.model}, score_version <code>{result.score_version}</code>
          </>
        )}
      </p>
      {isPredicting && (
        <p>
          <Progress done={done} total={Number(total)} label="Progress" /> {String(dataset)}: {whole(done)} of{' '}
          {whole(Number(total))} items
        </p>
      )}
      <p class="hidden" role="status" aria-live="polite">
        {finished === null ? '' : `The evaluation is ${status}.`}
      </p>
      {message !== null && <p class="note">{message}</p>}
      {result?.untrained === true && (
        <p class="note">The weights of the model are random: the figures have no meaning.</p>
      )}
      <p class="soft">
        created {moment(created)}
        {finished !== null && `, ended ${moment(finished)}`}
      </p>
      {viewing === undefined && <StopResume kind="evaluations" run={evaluation} onChange={reload} />}
    </>
  );
}

function Result({
  evaluation: { id, name },
  result,
}: {
  readonly evaluation: Evaluation;
  readonly result: NonNullable<Evaluation['result']>;
}): JSX.Element {
  const problem = useSignal<string | undefined>(undefined);
  const download = async (): Promise<void> => {
    try {
      save(`${name}-report.html`, 'text/html', await (await getText(`/v1/evaluations/${id}/report`)).blob());
    } catch (error) {
      problem.value = explain(error);
    }
  };
  return (
    <>
      <AgreementTable datasets={result.datasets} />
      <div class="actions">
        <button type="button" onClick={() => void download()}>
          Download report.html
        </button>
      </div>
      {problem.value !== undefined && <Problem text={problem.value} />}
      <Scatters id={id} datasets={result.datasets} />
      <Outliers id={id} />
    </>
  );
}
