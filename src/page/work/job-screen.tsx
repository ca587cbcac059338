import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Job, JobEvent } from '../../api/jobs.js';
import { histogram } from '../../report/histogram.js';
import { apiKey, client, explain, getText } from '../session.js';
import { bytes, moment, save, whole } from '../parts/format.js';
import { Plot } from '../parts/plot.js';
import { Problem, Progress, Skeleton, Status } from '../parts/states.js';
import { TableHead } from '../parts/table-head.js';
import { follow, type Followed } from './follow.js';
import { createTally, type Tally } from './job-tally.js';

export function JobScreen({ id }: { readonly id: string }): JSX.Element {
  const job = useSignal<Job | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const tally = useSignal<Tally | undefined>(undefined);
  const followed = useSignal<Followed | undefined>(undefined);
  useEffect(() => {
    const counted = createTally(id);
    let isOver = false;
    const refresh = async (): Promise<void> => {
      job.value = await client.value.jobs.get(id);
      tally.value = await counted.read(job.value.result_bytes);
    };
    const caught = (error: unknown): void => void (problem.value = explain(error));
    const onEvent = (event: JobEvent): void => {
      if (job.value !== undefined) job.value = { ...job.value, ...progressOf(event) };
      if (event.event === 'end') void refresh().catch(caught);
    };
    refresh().then(() => {
      if (!isOver)
        followed.value = follow<JobEvent>((options) => client.value.jobs.events(id, options), onEvent, caught);
    }, caught);
    const timer = setInterval(() => job.value?.finished_at === null && void refresh().catch(() => undefined), 2000);
    return () => {
      isOver = true;
      clearInterval(timer);
      followed.value?.stop();
    };
  }, [apiKey.value]);
  return (
    <>
      <nav class="crumbs" aria-label="Jobs">
        <a href="#/jobs">All jobs</a>
      </nav>
      <h1 tabIndex={-1} class="item-title">
        <code>{id}</code>
      </h1>
      {problem.value !== undefined && <Problem text={problem.value} />}
      {followed.value?.isLost.value === true && (
        <p class="note" role="status">
          The connection to the service is lost. The page reconnects.
        </p>
      )}
      {job.value === undefined ? (
        problem.value === undefined && <Skeleton />
      ) : (
        <JobDetails job={job.value} tally={tally.value} onChange={(now) => (job.value = now)} />
      )}
    </>
  );
}

const progressOf = ({ status, total, done, failed, warned }: JobEvent) => ({ status, total, done, failed, warned });

function JobDetails({
  job,
  tally,
  onChange,
}: {
  readonly job: Job;
  readonly tally: Tally | undefined;
  readonly onChange: (job: Job) => void;
}): JSX.Element {
  const problem = useSignal<string | undefined>(undefined);
  const act = async (run: () => Promise<void>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      problem.value = explain(error);
    }
  };
  const download = (format: string): void =>
    void act(async () => {
      const answer = await getText(`/v1/jobs/${job.id}/results?format=${format}`);
      save(`${job.id}.${format === 'ndjson' ? 'jsonl' : format}`, 'application/octet-stream', await answer.blob());
    });
  const isOver = job.finished_at !== null;
  return (
    <>
      <p>
        <Status status={job.status} /> {whole(job.done)} of {whole(job.total)} items, {whole(job.failed)} failed,{' '}
        {whole(job.warned)} with warnings
      </p>
      <Progress done={job.done} total={job.total} label="Progress" />
      <p class="hidden" role="status" aria-live="polite">
        {isOver ? `The job is ${job.status}.` : ''}
      </p>
      {job.message !== null && <p class="note">{job.message}</p>}
      <p class="soft">
        {job.tasks.join(', ')}, model {job.model}, created {moment(job.created_at)}
        {job.finished_at !== null && `, ended ${moment(job.finished_at)}`}, results {bytes(job.result_bytes)}
      </p>
      <div class="actions">
        {!isOver && (
          <button type="button" onClick={() => void act(async () => onChange(await client.value.jobs.cancel(job.id)))}>
            Cancel job
          </button>
        )}
        <button type="button" disabled={job.done === 0} onClick={() => download('csv')}>
          CSV
        </button>
        <button type="button" disabled={job.done === 0} onClick={() => download('ndjson')}>
          JSONL
        </button>
        {isOver && (
          <button
            type="button"
            class="danger"
            onClick={() =>
              void act(async () => {
                await client.value.jobs.delete(job.id);
                location.hash = '#/jobs';
              })
            }
          >
            Delete job and results
          </button>
        )}
      </div>
      {problem.value !== undefined && <Problem text={problem.value} />}
      {tally !== undefined && tally.scores.length > 0 && <Scores job={job} tally={tally} />}
      {tally !== undefined && tally.failures.length > 0 && <Failures tally={tally} />}
    </>
  );
}

const RANGES = { mos5: [1, 5], unit: [0, 1], percent: [0, 100] } as const;

function Scores({ job, tally }: { readonly job: Job; readonly tally: Tally }): JSX.Element {
  const [low, high] = RANGES[job.scale];
  const marks = [0.2, 0.4, 0.6, 0.8].map((share) => low + share * (high - low));
  const svg = histogram(tally.scores, {
    xLabel: 'score',
    yLabel: 'results',
    marks,
    range: [low, high],
    parts: ['bad', 'poor', 'fair', 'good', 'excellent'],
  });
  const part = tally.isWhole ? 'all results so far' : `the first ${whole(tally.scores.length)} results`;
  return (
    <section>
      <h2>Scores</h2>
      <Plot svg={svg} caption={`Scores of ${part}.`} />
    </section>
  );
}

function Failures({ tally }: { readonly tally: Tally }): JSX.Element {
  return (
    <section>
      <h2>Failures</h2>
      <table class="rows">
        <TableHead columns={['Code', 'Results', 'Example']} numbers={['Results']} />
        <tbody>
          {tally.failures.map(({ code, count, example }) => (
            <tr key={code}>
              <td>
                <code>{code}</code>
              </td>
              <td class="n">{whole(count)}</td>
              <td class="t">{example}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
