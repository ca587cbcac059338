import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { ModelRow } from '../../api/models.js';
import { client, explain, refreshService } from '../session.js';
import { useLoaded } from '../parts/load.js';
import { Problem, Skeleton, Status } from '../parts/states.js';

export function ModelsScreen(): JSX.Element {
  const { value, problem, reload } = useLoaded(() => client.value.models.list(), 5000);
  return (
    <>
      <h1 tabIndex={-1}>Models</h1>
      {problem.value !== undefined && <Problem text={problem.value} retry={reload} />}
      {value.value === undefined && problem.value === undefined && <Skeleton />}
      <ul class="cards">
        {value.value?.models.map((row) => (
          <Model key={row.id} row={row} onChange={reload} />
        ))}
      </ul>
    </>
  );
}

function Model({ row, onChange }: { readonly row: ModelRow; readonly onChange: () => void }): JSX.Element {
  const problem = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  const act = async (verb: 'load' | 'unload'): Promise<void> => {
    isBusy.value = true;
    try {
      await client.value.models[verb](row.id);
      problem.value = undefined;
    } catch (error) {
      problem.value = explain(error);
    }
    isBusy.value = false;
    onChange();
    void refreshService();
  };
  const tasks = Object.entries(row.tasks).map(([task, kinds]) => `${task} of ${(kinds as string[]).join(' and ')}`);
  return (
    <li class="card">
      <h2>{row.title}</h2>
      <p>
        <Status status={row.state} /> <code>{row.id}</code>
        {row.default && <span class="soft"> default</span>}
      </p>
      {row.untrained && <p class="note">Random weights: its scores have no meaning.</p>}
      <p class="soft">{tasks.join(', ')}</p>
      <p class="soft">Licence: {row.licence}</p>
      {row.weights_sha256 !== undefined && (
        <p class="soft">
          {row.precision}, {row.workers_ready} {row.workers_ready === 1 ? 'worker' : 'workers'} ready, weights{' '}
          <code>{row.weights_sha256.slice(0, 12)}</code>
        </p>
      )}
      {problem.value !== undefined && <Problem text={problem.value} />}
      <div class="actions">
        <button
          type="button"
          disabled={isBusy.value || row.state === 'loading'}
          onClick={() => void act(row.state === 'loaded' ? 'unload' : 'load')}
        >
          {row.state === 'loaded' ? `Unload ${row.id}` : `Load ${row.id}`}
        </button>
      </div>
    </li>
  );
}
