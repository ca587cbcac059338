import { computed, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { models } from '../session.js';
import { linkTo } from '../route.js';
import { save, whole } from '../parts/format.js';
import { ResultHead, ROW_HEIGHT } from '../parts/result-list.js';
import { RowFilters } from '../parts/row-filters.js';
import { Empty } from '../parts/states.js';
import { VirtualList } from '../parts/virtual-list.js';
import { DropZone } from './drop-zone.js';
import { toCsv, toJsonLines } from './export.js';
import { clearRows, model, retry, retryFailed, scale, tasks } from './intake.js';
import { pausedUntil } from './queue.js';
import { PauseNote } from './pause-note.js';
import { counts, failureOf, filter, rows, shown, sort, type Filter } from './rows.js';
import { FileThumb, ResultRow } from './result-row.js';

export function ScoreScreen(): JSX.Element {
  return (
    <>
      <h1 tabIndex={-1}>Score pictures and clips</h1>
      <Settings />
      <DropZone isLarge={rows.value.length === 0} />
      {pausedUntil.value !== undefined && <PauseNote until={pausedUntil.value} />}
      {rows.value.length === 0 ? (
        <Empty title="Scores appear here">
          <p>Each picture gets a score from 1 to 5 and the probabilities of five levels, from bad to excellent.</p>
        </Empty>
      ) : (
        <Results />
      )}
    </>
  );
}

function Settings(): JSX.Element {
  const loaded = (models.value ?? []).filter(({ state }) => state === 'loaded');
  const untrained = loaded.find(({ id, default: first }) =>
    model.value === '' ? first : id === model.value,
  )?.untrained;
  return (
    <div class="settings">
      <label>
        Task
        <select
          value={tasks.value.join('+')}
          onChange={(event) => (tasks.value = event.currentTarget.value.split('+') as typeof tasks.value)}
        >
          <option value="quality">quality</option>
          <option value="aesthetics">aesthetics</option>
          <option value="quality+aesthetics">both</option>
        </select>
      </label>
      <label>
        Model
        <select value={model.value} onChange={(event) => (model.value = event.currentTarget.value)}>
          <option value="">default</option>
          {loaded.map(({ id, title }) => (
            <option key={id} value={id}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <label>
        Scale
        <select
          value={scale.value}
          onChange={(event) => (scale.value = event.currentTarget.value as typeof scale.value)}
        >
          <option value="mos5">1 to 5</option>
          <option value="unit">0 to 1</option>
          <option value="percent">0 to 100</option>
        </select>
      </label>
      {untrained === true && <p class="note">The weights of this model are random: its scores have no meaning.</p>}
    </div>
  );
}

const announced = computed(() => {
  const { total, scored, failed } = counts.value;
  return total > 0 && scored + failed === total
    ? `All ${whole(total)} rows are finished: ${whole(scored)} scored, ${whole(failed)} failed.`
    : '';
});

function Results(): JSX.Element {
  const { total, scored, failed, doubtful, waiting } = counts.value;
  const outcomes = () => shown.value.flatMap(({ outcome }) => outcome ?? []);
  return (
    <section aria-label="Results">
      <div class="summary">
        <p>
          <strong>{whole(scored)}</strong> of {whole(total)} scored
          {waiting > 0 && `, ${whole(waiting)} to go`}
          {failed > 0 && `, ${whole(failed)} failed`}
        </p>
        {waiting > 0 && <progress max={total} value={total - waiting} aria-label="Progress" />}
      </div>
      <div class="hidden" role="status" aria-live="polite">
        {announced.value}
      </div>
      <div class="tools">
        <Filters failed={failed} doubtful={doubtful} />
        <div class="actions">
          {failed > 0 && (
            <button type="button" onClick={retryFailed}>
              Retry failed
            </button>
          )}
          <button
            type="button"
            disabled={scored + failed === 0}
            onClick={() => save('scores.csv', 'text/csv', toCsv(outcomes()))}
          >
            CSV
          </button>
          <button
            type="button"
            disabled={scored + failed === 0}
            onClick={() => save('scores.jsonl', 'application/x-ndjson', toJsonLines(outcomes()))}
          >
            JSONL
          </button>
          <ClearButton />
        </div>
      </div>
      <VirtualList
        count={shown.value.length}
        height={ROW_HEIGHT}
        label="Scores"
        head={<ResultHead sort={sort.value} onSort={(next) => (sort.value = next)} />}
        row={(index) => <Line index={index} />}
      />
      {shown.value.length === 0 && <p class="soft">No row matches the filter.</p>}
    </section>
  );
}

function Line({ index }: { readonly index: number }): JSX.Element | null {
  const row = shown.value[index];
  if (row === undefined) return null;
  const { id, name, task, outcome, state, file } = row;
  return (
    <ResultRow
      name={name}
      href={linkTo('item', String(id))}
      task={task}
      outcome={outcome}
      state={state}
      thumb={<FileThumb file={file} name={name} />}
      retry={failureOf(row) === undefined ? undefined : () => retry([id])}
    />
  );
}

function Filters({ failed, doubtful }: { readonly failed: number; readonly doubtful: number }): JSX.Element {
  const choices: readonly (readonly [Filter['show'], string])[] = [
    ['all', 'all rows'],
    ['scored', 'scored'],
    ['doubtful', `doubtful (${doubtful})`],
    ['failed', `failed (${failed})`],
    ['waiting', 'waiting'],
  ];
  return (
    <RowFilters
      text={filter.value.text}
      show={filter.value.show}
      choices={choices}
      onChange={(change) => (filter.value = { ...filter.value, ...change })}
    />
  );
}

/** Asks before it removes scores. */
function ClearButton(): JSX.Element {
  const asked = useSignal(false);
  if (!asked.value)
    return (
      <button type="button" onClick={() => (asked.value = true)}>
        Clear
      </button>
    );
  return (
    <>
      <button type="button" class="danger" onClick={clearRows}>
        Remove all rows
      </button>
      <button type="button" onClick={() => (asked.value = false)}>
        Keep
      </button>
    </>
  );
}
