import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { client, explain } from '../session.js';
import { linkTo } from '../route.js';
import { duration, moment, whole } from '../parts/format.js';
import { useLoaded } from '../parts/load.js';
import { Empty, Problem, Progress, Skeleton, Status } from '../parts/states.js';
import { TableHead } from '../parts/table-head.js';

export function JobsScreen(): JSX.Element {
  const { value, problem, reload } = useLoaded(() => client.value.jobs.list({ limit: 100 }), 3000);
  const jobs = value.value?.jobs;
  return (
    <>
      <h1 tabIndex={-1}>Jobs</h1>
      <NewJob />
      {problem.value !== undefined && <Problem text={problem.value} retry={reload} />}
      {jobs === undefined && problem.value === undefined && <Skeleton />}
      {jobs?.length === 0 && (
        <Empty title="No jobs yet">
          <p>A job scores a list of up to millions of paths or URLs, and survives a restart of the service.</p>
        </Empty>
      )}
      {jobs !== undefined && jobs.length > 0 && (
        <div class="wide" tabIndex={0} role="region" aria-label="Jobs">
          <table class="rows">
            <TableHead columns={['Job', 'Status', 'Progress', 'Failed', 'Model', 'Created']} numbers={['Failed']} />
            <tbody>
              {jobs.map((job) => (
                <tr key={job.id}>
                  <td>
                    <a href={linkTo('jobs', job.id)}>
                      <code>{job.id}</code>
                    </a>
                  </td>
                  <td>
                    <Status status={job.status} />
                  </td>
                  <td>
                    <Progress done={job.done} total={job.total} label={`Progress of ${job.id}`} />
                    <span class="soft n">
                      {' '}
                      {whole(job.done)} / {whole(job.total)}
                      {job.eta_s !== null && job.finished_at === null && `, ${duration(job.eta_s)} left`}
                    </span>
                  </td>
                  <td class="n">{whole(job.failed)}</td>
                  <td>{job.model}</td>
                  <td>{moment(job.created_at)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function NewJob(): JSX.Element {
  const text = useSignal('');
  const problem = useSignal<string | undefined>(undefined);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      const job = await client.value.jobs.create(`${text.value.trim()}\n`);
      location.hash = linkTo('jobs', job.id);
    } catch (error) {
      problem.value = explain(error);
    }
  };
  return (
    <details class="new-job">
      <summary>New job</summary>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          URLs, paths below the root of the service, or JSON objects, one on each line
          <textarea rows={5} value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
        </label>
        {problem.value !== undefined && <Problem text={problem.value} />}
        <button type="submit" class="primary" disabled={text.value.trim() === ''}>
          Start job
        </button>
      </form>
    </details>
  );
}
