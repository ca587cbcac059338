import { signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { CompareAnswer } from '../../api/score.js';
import { probabilityAbove } from '../../scoring/preference.js';
import { client, explain } from '../session.js';
import { save, scoreText } from '../parts/format.js';
import { LevelTable } from '../parts/level-bars.js';
import { Empty, Problem } from '../parts/states.js';
import { Choose } from '../score/drop-zone.js';
import { toJsonLines } from '../score/export.js';
import { pick } from '../score/inputs.js';
import { resultOf, rows } from '../score/rows.js';
import { nextPair, ratingsAsCsv, type Choice } from './choices.js';
import { Viewer } from './viewer.js';

const files = signal<readonly File[]>([]);
const pair = signal<readonly [number, number]>([0, 1]);
const isBlind = signal(false);
const choices = signal<readonly Choice[]>([]);
/** In blind mode: the choice of this pair, after which its scores are shown. */
const chosen = signal<Choice['choice'] | undefined>(undefined);

function addFiles(found: readonly File[]): void {
  const known = new Set(files.value.map(({ name }) => name));
  // Ratings are by name, so a name is a picture.
  files.value = [...files.value, ...pick(found).files.filter(({ name }) => !known.has(name))];
}

export function CompareScreen(): JSX.Element {
  const [a, b] = [files.value[pair.value[0]], files.value[pair.value[1]]];
  const scored = rows.value.filter((row) => row.file !== undefined && resultOf(row) !== undefined);
  return (
    <>
      <h1 tabIndex={-1}>Compare</h1>
      <div class="tools">
        <div class="actions">
          <Choose label="Choose pictures" onFiles={addFiles} />
          {scored.length > 1 && (
            <button type="button" onClick={() => addFiles(scored.map(({ file }) => file!))}>
              Take the {scored.length} scored pictures
            </button>
          )}
        </div>
        <label class="check">
          <input
            type="checkbox"
            checked={isBlind.value}
            onChange={(event) => {
              isBlind.value = event.currentTarget.checked;
              chosen.value = undefined;
            }}
          />
          Blind: choose first, then see the scores
        </label>
      </div>
      {a === undefined || b === undefined ? (
        <Empty title="Two pictures are needed">
          <p>
            Choose two or more pictures or clips. Blind mode shows pairs of them in random order and keeps your choices.
          </p>
        </Empty>
      ) : (
        <>
          <Pickers />
          <Viewer key={`${a.name}\n${b.name}`} a={a} b={b} />
          {isBlind.value && <BlindBar a={a} b={b} />}
          {(!isBlind.value || chosen.value !== undefined) && <Verdict key={`${a.name}\n${b.name}`} a={a} b={b} />}
        </>
      )}
      {choices.value.length > 0 && <Exports />}
    </>
  );
}

function Pickers(): JSX.Element {
  const select = (side: 0 | 1): JSX.Element => (
    <label>
      {side === 0 ? 'A' : 'B'}
      <select
        value={pair.value[side]}
        onChange={(event) => {
          const at = Number(event.currentTarget.value);
          pair.value = side === 0 ? [at, pair.value[1]] : [pair.value[0], at];
          chosen.value = undefined;
        }}
      >
        {files.value.map((file, i) => (
          <option key={i} value={i}>
            {isBlind.value && chosen.value === undefined ? `picture ${i + 1}` : file.name}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <div class="settings">
      {select(0)}
      {select(1)}
    </div>
  );
}

function BlindBar({ a, b }: { readonly a: File; readonly b: File }): JSX.Element {
  const choose = (choice: Choice['choice']): void => {
    chosen.value = choice;
    choices.value = [...choices.value, { first: a.name, second: b.name, choice, time: Date.now() / 1000 }];
  };
  const next = (): void => {
    pair.value = nextPair(
      files.value.map(({ name }) => name),
      choices.value,
    );
    chosen.value = undefined;
  };
  return (
    <div class="blind" role="group" aria-label="Your choice">
      {chosen.value === undefined ? (
        <>
          <button type="button" class="primary" onClick={() => choose('first')}>
            A is better
          </button>
          <button type="button" onClick={() => choose('equal')}>
            Equal
          </button>
          <button type="button" class="primary" onClick={() => choose('second')}>
            B is better
          </button>
        </>
      ) : (
        <button type="button" class="primary" onClick={next}>
          Next pair
        </button>
      )}
      <span class="soft">
        {choices.value.length} {choices.value.length === 1 ? 'choice' : 'choices'}
      </span>
    </div>
  );
}

/** Asks /v1/compare; rows that were scored with one version are compared here, by the same formula. */
function Verdict({ a, b }: { readonly a: File; readonly b: File }): JSX.Element {
  const answer = useSignal<CompareAnswer | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const isAsking = useSignal(false);
  const known = [a, b].map((file) => rows.value.flatMap((row) => (row.file === file ? (resultOf(row) ?? []) : []))[0]);
  const ask = async (): Promise<void> => {
    isAsking.value = true;
    try {
      answer.value = await client.value.compare(
        { data: a, name: a.name },
        { data: b, name: b.name },
        {},
        { retries: 3 },
      );
      problem.value = undefined;
    } catch (error) {
      problem.value = explain(error);
    }
    isAsking.value = false;
  };
  const [first, second] = answer.value?.items.map(({ results: [outcome] }) => resultOf({ outcome })) ?? known;
  if (problem.value !== undefined) return <Problem text={problem.value} retry={() => void ask()} />;
  if (first === undefined || second === undefined || first.score_version !== second.score_version)
    return (
      <p>
        <button type="button" class="primary" disabled={isAsking.value} onClick={() => void ask()}>
          {isAsking.value ? 'Comparing' : 'Compare by the model'}
        </button>
      </p>
    );
  const probability = answer.value?.probability ?? probabilityAbove(first.level_probs, second.level_probs);
  return (
    <section class="verdict" aria-live="polite">
      <p>
        <strong class="n">{(100 * probability).toFixed(0)} %</strong> probability that A is rated better. A{' '}
        {scoreText(first.score, first.scale)}, B {scoreText(second.score, second.scale)}.
      </p>
      <progress max={1} value={probability} aria-label="Probability that A is better" />
      <p class="soft legend">
        <span class="key key-a" /> A <span class="key key-b" /> B
      </p>
      <LevelTable probs={first.level_probs} second={second.level_probs} />
    </section>
  );
}

function Exports(): JSX.Element {
  return (
    <section>
      <h2>Your choices</h2>
      <p class="soft">
        Ratings from 1 to 5 are the expected share of wins of each picture (Bradley–Terry). "qalign dataset convert"
        makes training records of them.
      </p>
      <div class="actions">
        <button type="button" onClick={() => save('blind-ratings.csv', 'text/csv', ratingsAsCsv(choices.value))}>
          Ratings as CSV
        </button>
        <button type="button" onClick={() => save('choices.jsonl', 'application/x-ndjson', toJsonLines(choices.value))}>
          Choices as JSONL
        </button>
      </div>
    </section>
  );
}
