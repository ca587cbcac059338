import { useSignal, type Signal } from '@preact/signals';
import type { JSX, RefObject } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import type { FrameCurve as Curve } from '../../../api/frame-curve.js';
import type { ScoreResult } from '../../../api/result.js';
import { CURVE_HEADER, curveLines } from '../../../report/curve-csv.js';
import { HEIGHT, WIDTH } from '../../../report/axes.js';
import { curvePlot } from '../../../report/frame-curve.js';
import { LEVEL_VALUES } from '../../../scoring/levels.js';
import { save, scoreText } from '../../parts/format.js';
import { Plot } from '../../parts/plot.js';
import { client, explain } from '../../session.js';
import { within } from './clip-frames.js';
import { safeCell } from '../export.js';
import { change, type Row } from '../rows.js';
import { WorstFrames } from './worst-frames.js';

interface Props {
  readonly row: Row;
  readonly result: ScoreResult;
  /** The player of the clip; null if the browser cannot show it. */
  readonly video: RefObject<HTMLVideoElement | null>;
}

/** The frame curve of a clip, which is computed on request. */
export function FrameCurve({ row, result, video }: Props): JSX.Element {
  return (
    <section class="curve" aria-labelledby="curve-title">
      <h2 id="curve-title">Frame curve</h2>
      {result.frame_curve === undefined ? (
        <Request row={row} result={result} />
      ) : (
        <CurveView row={row} result={result} curve={result.frame_curve} video={video} />
      )}
    </section>
  );
}

function Request({ row, result }: Omit<Props, 'video'>): JSX.Element {
  const [isBusy, problem] = [useSignal(false), useSignal('')];
  const ask = async (): Promise<void> => {
    isBusy.value = true;
    problem.value = '';
    try {
      const item = row.file === undefined ? (row.source ?? {}) : { data: row.file, name: row.name };
      const settings = { tasks: [row.task], scale: result.scale, model: result.model.id, per_frame: true };
      const { items } = await client.value.score([item], settings);
      const outcome = items[0]?.results[0];
      if (outcome !== undefined && 'error' in outcome) problem.value = outcome.error.message;
      else change(row.id, { outcome });
    } catch (error) {
      problem.value = explain(error);
    }
    isBusy.value = false;
  };
  return (
    <>
      <p class="soft">Scores each of the {result.frames} frames as a picture. The service reads the clip again.</p>
      <button type="button" disabled={isBusy.value} onClick={() => void ask()}>
        {isBusy.value ? 'Scoring frames …' : 'Score the frames'}
      </button>
      <p class="problem" role="alert" hidden={problem.value === ''}>
        {problem.value}
      </p>
    </>
  );
}

function CurveView({ row, result, curve, video }: Props & { readonly curve: Curve }): JSX.Element {
  const selected = useSignal(curve.worst[0] ?? 0);
  useEffect(() => follow(video.current, curve, selected), [curve]);
  const select = (index: number): void => {
    selected.value = index;
    if (video.current !== null) video.current.currentTime = within(curve.times_s[index] ?? 0);
  };
  const text = (score: number): string => scoreText(score, result.scale);
  const name = row.name.replace(/^.*\//, '').replace(/\.\w+$/, '');
  const csv = (): string =>
    `${[CURVE_HEADER, ...curveLines({ ...result, input: String(safeCell(result.input)) })].join('\n')}\n`;
  return (
    <>
      <p class="soft">
        What the model says of single frames. The frames do not show motion, and the curve is not a rating over time.
      </p>
      <div class="curve-parts">
        <CurvePlot curve={curve} result={result} selected={selected} select={select} />
        <div>
          <dl class="pairs">
            {[
              ['clip', result.score],
              ['mean of frames', curve.mean],
              ['5th percentile', curve.p5],
              ['minimum', curve.min],
            ].map(([label, value]) => (
              <div key={label}>
                <dt>{label}</dt>
                <dd>{text(Number(value))}</dd>
              </div>
            ))}
          </dl>
          <WorstFrames file={row.file} curve={curve} text={text} select={select} />
        </div>
      </div>
      <div class="actions">
        <button type="button" onClick={() => save(`${name}-frames.csv`, 'text/csv', csv())}>
          Curve as CSV
        </button>
        <button
          type="button"
          onClick={() => save(`${name}-frames.json`, 'application/json', `${JSON.stringify(curve, null, 2)}\n`)}
        >
          Curve as JSON
        </button>
      </div>
      <CurveTable curve={curve} text={text} />
    </>
  );
}

/** Selects the frame that the player shows. @returns a function that stops it */
function follow(video: HTMLVideoElement | null, { times_s }: Curve, selected: Signal<number>): () => void {
  const onTime = (): void => {
    const now = (video?.currentTime ?? 0) + 0.005;
    // several frames can have the same time; the selected one of them stays
    if (Math.abs((times_s[selected.peek()] ?? 0) - now) < 0.02) return;
    selected.value = Math.max(0, times_s.findLastIndex((time) => time <= now)); // prettier-ignore
  };
  const events = ['timeupdate', 'seeked'] as const;
  events.forEach((event) => video?.addEventListener(event, onTime));
  return () => events.forEach((event) => video?.removeEventListener(event, onTime));
}

interface PlotProps {
  readonly curve: Curve;
  readonly result: ScoreResult;
  readonly selected: Signal<number>;
  readonly select: (index: number) => void;
}

/** The plot with a cursor. Pointer and slider select a frame. */
function CurvePlot({ curve, result, selected, select }: PlotProps): JSX.Element {
  const values = LEVEL_VALUES[result.scale];
  const { svg, x } = useMemo(() => curvePlot(curve, [values[4], values[0]]), [curve]);
  const at = selected.value;
  const choose = (event: PointerEvent): void => {
    const { left, width } = (event.currentTarget as Element).getBoundingClientRect();
    select(nearest(x, ((event.clientX - left) / width) * WIDTH));
  };
  const words = `frame ${at + 1} of ${x.length}, ${(curve.times_s[at] ?? 0).toFixed(2)} s: ${scoreText(curve.scores[at] ?? 0, result.scale)}`;
  return (
    <div>
      <div class="curve-plot">
        <Plot svg={svg} />
        <svg
          class="curve-cursor"
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          aria-hidden="true"
          onPointerDown={choose}
          onPointerMove={(event) => event.buttons === 1 && choose(event)}
        >
          <path d={`M${x[at] ?? 0} 28V274`} />
        </svg>
      </div>
      <input
        type="range"
        min={0}
        max={x.length - 1}
        value={at}
        aria-label="Frame"
        aria-valuetext={words}
        onInput={(event) => select(Number(event.currentTarget.value))}
      />
      <p class="curve-readout">{words}</p>
    </div>
  );
}

/** The index of the value that is nearest to `wanted`. */
function nearest(values: readonly number[], wanted: number): number {
  const distance = (index: number): number => Math.abs((values[index] ?? Infinity) - wanted);
  return values.reduce((best, _, index) => (distance(index) < distance(best) ? index : best), 0);
}

function CurveTable({ curve, text }: { readonly curve: Curve; readonly text: (score: number) => string }): JSX.Element {
  return (
    <details>
      <summary>Table of the frames</summary>
      <div class="curve-table" tabIndex={0} role="region" aria-label="Scores of the frames">
        <table class="rows">
          <thead>
            <tr>
              <th scope="col">Frame</th>
              <th scope="col" class="n">
                Time (s)
              </th>
              <th scope="col" class="n">
                Score
              </th>
            </tr>
          </thead>
          <tbody>
            {curve.scores.map((score, index) => (
              <tr key={index}>
                <td>{index + 1}</td>
                <td class="n">{(curve.times_s[index] ?? 0).toFixed(2)}</td>
                <td class="n">{text(score)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
