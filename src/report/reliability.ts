import { createAxes, fixed, label, svg } from './axes.js';

/** Items of one interval of confidence. */
export interface ConfidenceBin {
  readonly from: number;
  readonly to: number;
  readonly n: number;
  /** Mean of the confidences, 0 to 1. */
  readonly confidence: number;
  /** Share of the items that are correct, 0 to 1. */
  readonly accuracy: number;
}

/** Accuracy by confidence, as bars with counts above them. On the diagonal, accuracy equals confidence. */
export function reliabilityDiagram(
  bins: readonly ConfidenceBin[],
  { xLabel, yLabel }: { readonly xLabel: string; readonly yLabel: string },
): string {
  const axes = createAxes({ x: [0, 1], y: [0, 1.08], xLabel, yLabel });
  const bars = bins
    .filter(({ n }) => n > 0)
    .map(({ from, to, n, confidence, accuracy }) => {
      const [left, right, top] = [axes.x(from), axes.x(to), axes.y(accuracy)];
      const title = `${from.toFixed(1)} to ${to.toFixed(1)}: ${n} items, confidence ${confidence.toFixed(3)}, accuracy ${accuracy.toFixed(3)}`;
      return [
        `<rect x="${fixed(left + 1)}" y="${top}" width="${fixed(right - left - 2)}" height="${fixed(axes.y(0) - top)}" fill="var(--mark)" fill-opacity=".75"><title>${title}</title></rect>`,
        label((left + right) / 2, axes.y(1.03), String(n)),
        `<circle cx="${axes.x(confidence)}" cy="${top}" r="3.5" fill="var(--second)"/>`,
      ].join('');
    });
  const diagonal = `<path d="M${axes.x(0)} ${axes.y(0)}L${axes.x(1)} ${axes.y(1)}" stroke="var(--second)" stroke-dasharray="4 3" fill="none"/>`;
  return svg([axes.frame, ...bars, diagonal].join(''), `${yLabel} against ${xLabel}`);
}
