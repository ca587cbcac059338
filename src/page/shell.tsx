import type { JSX } from 'preact';
import { route } from './route.js';
import { SERVICE, isReady, viewing } from './session.js';
import { KeyForm, KeyButton } from './parts/key-form.js';
import { ScoreScreen } from './score/score-screen.js';
import { ItemScreen } from './score/item-screen.js';
import { CompareScreen } from './compare/compare-screen.js';
import { JobsScreen } from './work/jobs-screen.js';
import { JobScreen } from './work/job-screen.js';
import { RunsScreen } from './runs/runs-screen.js';
import { RunScreen } from './runs/run-screen.js';
import { EvaluationsScreen } from './runs/evaluations-screen.js';
import { EvaluationScreen } from './runs/evaluation-screen.js';
import { RowsScreen } from './view/rows-screen.js';
import { RowScreen } from './view/row-screen.js';
import { ModelsScreen } from './service/models-screen.js';
import { HealthScreen } from './service/health-screen.js';

interface Screen {
  readonly label: string;
  readonly list: () => JSX.Element;
  /** Absent: its rows have no screen. */
  readonly one?: (id: string) => JSX.Element;
}

const RUNS: Screen = { label: 'Runs', list: () => <RunsScreen />, one: (id) => <RunScreen key={id} id={id} /> };
const EVALUATIONS: Screen = {
  label: 'Evaluations',
  list: () => <EvaluationsScreen />,
  one: (id) => <EvaluationScreen key={id} id={id} />,
};
const OF_SERVICE: Readonly<Record<string, Screen>> = {
  '': { label: 'Score', list: () => <ScoreScreen /> },
  compare: { label: 'Compare', list: () => <CompareScreen /> },
  jobs: { label: 'Jobs', list: () => <JobsScreen />, one: (id) => <JobScreen key={id} id={id} /> },
  runs: RUNS,
  evaluations: EVALUATIONS,
  models: { label: 'Models', list: () => <ModelsScreen /> },
  health: { label: 'Health', list: () => <HealthScreen /> },
};

/** The screens of "qalign view": it has no models, jobs or keys. */
const OF_VIEW = {
  results: {
    '': { label: 'Results', list: () => <RowsScreen /> },
    rows: { label: '', list: () => <RowsScreen />, one: (n) => <RowScreen key={n} n={n} /> },
  },
  run: { '': RUNS, runs: RUNS },
  evaluation: { '': EVALUATIONS, evaluations: EVALUATIONS },
} satisfies Record<string, Readonly<Record<string, Screen>>>;
const SCREENS: Readonly<Record<string, Screen>> = viewing === undefined ? OF_SERVICE : OF_VIEW[viewing];
/** In "qalign view" several addresses belong to one screen. */
const LISTED = Object.entries(SCREENS).filter(([key]) => viewing === undefined || key === '');

export function Shell(): JSX.Element {
  const [name = '', id] = route.value;
  const current = name === 'item' || viewing !== undefined ? '' : name;
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="#/" aria-label="qalign, start">
          <Mark />
          qalign
        </a>
        <nav aria-label="Screens">
          <ul>
            {LISTED.map(([key, { label }]) => (
              <li key={key}>
                <a href={`#/${key}`} aria-current={key === current ? 'page' : undefined}>
                  {label}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        {viewing === undefined ? (
          <div class="top-end">
            <State />
            <KeyButton />
            <a href={`${SERVICE}/docs`}>API reference</a>
          </div>
        ) : (
          <p class="top-end soft">Stored results, read only</p>
        )}
      </header>
      {viewing === undefined && <KeyForm />}
      <main id="main">{screenOf(name, id)}</main>
    </>
  );
}

function screenOf(name: string, id: string | undefined): JSX.Element {
  if (viewing === undefined && name === 'item' && id !== undefined) return <ItemScreen key={id} id={id} />;
  const screen = Object.hasOwn(SCREENS, name) ? SCREENS[name] : undefined;
  if (screen === undefined) return <NotFound />;
  return id !== undefined && screen.one !== undefined ? screen.one(id) : screen.list();
}

/** The address after # is a route, so the link moves the focus itself. */
function skip(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>('main h1')?.focus();
}

function NotFound(): JSX.Element {
  return (
    <>
      <h1 tabIndex={-1}>No such screen</h1>
      <p>
        <a href="#/">{viewing === undefined ? 'Score pictures and clips' : 'Start'}</a>
      </p>
    </>
  );
}

function State(): JSX.Element {
  const [kind, text] =
    isReady.value === undefined ? ['wait', 'Connecting'] : isReady.value ? ['ok', 'Ready'] : ['late', 'Not ready'];
  return (
    <a class={`state state-${kind}`} href="#/health">
      <span class="dot" aria-hidden="true" />
      {text}
    </a>
  );
}

function Mark(): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      {[6, 9, 13, 17, 11].map((height, i) => (
        <rect key={i} x={1 + i * 3.8} y={18.5 - height} width="2.8" height={height} rx="1" />
      ))}
    </svg>
  );
}
