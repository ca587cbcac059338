import type { JSX } from 'preact';
import { route } from './route.js';
import { SERVICE, isReady } from './session.js';
import { KeyForm, KeyButton } from './parts/key-form.js';
import { ScoreScreen } from './score/score-screen.js';
import { ItemScreen } from './score/item-screen.js';
import { CompareScreen } from './compare/compare-screen.js';
import { JobsScreen } from './work/jobs-screen.js';
import { JobScreen } from './work/job-screen.js';
import { ModelsScreen } from './service/models-screen.js';
import { HealthScreen } from './service/health-screen.js';

interface Screen {
  readonly label: string;
  readonly list: () => JSX.Element;
  /** Absent: its rows have no screen. */
  readonly one?: (id: string) => JSX.Element;
}

const SCREENS: Readonly<Record<string, Screen>> = {
  '': { label: 'Score', list: () => <ScoreScreen /> },
  compare: { label: 'Compare', list: () => <CompareScreen /> },
  jobs: { label: 'Jobs', list: () => <JobsScreen />, one: (id) => <JobScreen key={id} id={id} /> },
  models: { label: 'Models', list: () => <ModelsScreen /> },
  health: { label: 'Health', list: () => <HealthScreen /> },
};

export function Shell(): JSX.Element {
  const [name = '', id] = route.value;
  const current = name === 'item' ? '' : name;
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
            {Object.entries(SCREENS).map(([key, { label }]) => (
              <li key={key}>
                <a href={`#/${key}`} aria-current={key === current ? 'page' : undefined}>
                  {label}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <div class="top-end">
          <State />
          <KeyButton />
          <a href={`${SERVICE}/docs`}>API reference</a>
        </div>
      </header>
      <KeyForm />
      <main id="main">{screenOf(name, id)}</main>
    </>
  );
}

function screenOf(name: string, id: string | undefined): JSX.Element {
  if (name === 'item' && id !== undefined) return <ItemScreen key={id} id={id} />;
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
        <a href="#/">Score pictures and clips</a>
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
