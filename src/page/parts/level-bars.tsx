import type { JSX } from 'preact';
import { LEVELS, type ByLevel } from '../../scoring/levels.js';

const percent = (value: number): string => `${(100 * value).toFixed(value > 0.0005 && value < 0.0995 ? 1 : 0)} %`;

/** Five bars, worst level on the left, so that they read like the scale from 1 to 5. */
export function LevelBars({ probs }: { readonly probs: ByLevel }): JSX.Element {
  const order = [...LEVELS].reverse();
  const text = order.map((level) => `${level} ${percent(probs[level])}`).join(', ');
  return (
    <svg class="bars" viewBox="0 0 100 32" preserveAspectRatio="none" role="img" aria-label={text}>
      <title>{text}</title>
      {order.map((level, i) => (
        <g key={level}>
          <rect class="bar-ground" x={i * 20 + 2} y="0" width="16" height="32" />
          <rect
            class={`level-${level}`}
            x={i * 20 + 2}
            y={32 - Math.max(1, 32 * probs[level])}
            width="16"
            height={Math.max(1, 32 * probs[level])}
          />
        </g>
      ))}
    </svg>
  );
}

/** The distribution with names and numbers, best level first. */
export function LevelTable({
  probs,
  second,
}: {
  readonly probs: ByLevel;
  readonly second?: ByLevel | undefined;
}): JSX.Element {
  return (
    <dl class="levels">
      {LEVELS.map((level) => (
        <div key={level}>
          <dt>{level}</dt>
          <dd>
            <Track value={probs[level]} name={second === undefined ? level : 'a'} />
            {second !== undefined && <Track value={second[level]} name="b" />}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Track({ value, name }: { readonly value: number; readonly name: string }): JSX.Element {
  return (
    <span class="track-row">
      <svg class="track" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <rect class="bar-ground" width="100" height="8" />
        <rect class={name === 'a' || name === 'b' ? `side-${name}` : `level-${name}`} width={100 * value} height="8" />
      </svg>
      <span class="n">{percent(value)}</span>
    </span>
  );
}
