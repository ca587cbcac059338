import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import type { CurveName } from '../../api/curves.js';
import { COLOURS } from '../../report/axes.js';
import { smoothed, type CurveColumns } from '../../report/curve.js';
import { DASHES, lines, type Series } from '../../report/plots.js';
import { Plot } from '../parts/plot.js';
import { LABELS, NAMES, type RunCurves } from './follow-run.js';

export interface Drawn {
  readonly name: string;
  readonly curves: RunCurves;
}

/** Evaluations are few, and each is a checkpoint of interest. */
const MOST_DOTS = 60;

const smoothing = signal(0);
const isLog = signal(false);

/** Every value of one run, or of several runs over each other. */
export function Charts({ runs }: { readonly runs: readonly Drawn[] }): JSX.Element {
  const names = NAMES.filter((name) => runs.some(({ curves }) => curves[name].x.length > 0));
  return (
    <section aria-label="Curves">
      <div class="chart-tools">
        <label>
          Smoothing
          <input
            type="range"
            min="0"
            max="0.99"
            step="0.01"
            value={smoothing.value}
            aria-valuetext={smoothing.value.toFixed(2)}
            onInput={(event) => (smoothing.value = Number(event.currentTarget.value))}
          />
          <span class="n">{smoothing.value.toFixed(2)}</span>
        </label>
        <label>
          Value axis
          <select
            value={isLog.value ? 'log' : 'linear'}
            onChange={(event) => (isLog.value = event.currentTarget.value === 'log')}
          >
            <option value="linear">linear</option>
            <option value="log">logarithmic</option>
          </select>
        </label>
      </div>
      {runs.length > 1 && <Legend names={runs.map(({ name }) => name)} />}
      {names.length === 0 && <p class="soft">There are no steps yet.</p>}
      <div class="charts">
        {names.map((name) => (
          <Plot key={name} svg={drawing(name, runs)} />
        ))}
      </div>
    </section>
  );
}

function drawing(name: CurveName, runs: readonly Drawn[]): string {
  const shown = runs.filter(({ curves }) => curves[name].x.length > 0);
  const isEvaluation = name === 'srcc' || name === 'plcc';
  const most = Math.max(...shown.map(({ curves }) => curves[name].x.length));
  return lines({
    // a run without this value keeps its place, so that its colour is the same in every plot
    series: runs.map((run) => seriesOf(run.name, run.curves[name], runs.length === 1)),
    xLabel: 'step',
    yLabel: LABELS[name],
    yLog: isLog.value && !isEvaluation,
    dots: isEvaluation && most <= MOST_DOTS,
    legend: false,
  });
}

function seriesOf(name: string, { x, mean, min, max }: CurveColumns, isAlone: boolean): Series {
  const values = smoothing.value === 0 ? mean : smoothed(mean, smoothing.value);
  return {
    name,
    points: values.map((y, i) => ({ x: x[i]!, y })),
    band: isAlone ? min.map((low, i) => [low, max[i]!] as const) : undefined,
  };
}

function Legend({ names }: { readonly names: readonly string[] }): JSX.Element {
  return (
    <ul class="legend" aria-label="Runs in the plots">
      {names.map((name, i) => (
        <li key={i}>
          <Swatch place={i} />
          <bdi>{name}</bdi>
        </li>
      ))}
    </ul>
  );
}

/** The line of a run in the plots. */
function Swatch({ place }: { readonly place: number }): JSX.Element {
  return (
    <svg class="swatch" viewBox="0 0 34 10" width="34" height="10" aria-hidden="true">
      <path
        d="M0 5H34"
        fill="none"
        stroke={COLOURS[place % COLOURS.length]}
        stroke-width="3"
        stroke-dasharray={DASHES[place % DASHES.length]}
      />
    </svg>
  );
}
