import { fixed, label, svg } from './axes.js';
import { escape } from './escape.js';

const [LEFT, TOP, SIDE, TALL] = [96, 44, 66, 46];

/** Counts by row and column, as SVG. The shade of a cell is its share of the row. */
export function matrix({
  rows,
  columns,
  values,
  rowLabel,
  columnLabel,
}: {
  rows: readonly string[];
  columns: readonly string[];
  values: readonly (readonly number[])[];
  rowLabel: string;
  columnLabel: string;
}): string {
  const [right, bottom] = [LEFT + columns.length * SIDE, TOP + rows.length * TALL];
  const cells = values.flatMap((row, r) => {
    const sum = Math.max(
      1,
      row.reduce((a, b) => a + b, 0),
    );
    return row.map((value, c) => {
      const [x, y] = [LEFT + c * SIDE, TOP + r * TALL];
      const title = `${rowLabel} ${rows[r]}, ${columnLabel} ${columns[c]}: ${value}, ${((100 * value) / sum).toFixed(0)} % of the row`;
      return `<rect x="${x}" y="${y}" width="${SIDE - 2}" height="${TALL - 2}" fill="var(--mark)" fill-opacity="${(0.06 + (0.7 * value) / sum).toFixed(3)}"><title>${escape(title)}</title></rect>${label(x + SIDE / 2 - 1, y + TALL / 2 + 4, String(value), { strong: true })}`;
    });
  });
  const names = [
    ...columns.map((name, c) => label(LEFT + c * SIDE + SIDE / 2 - 1, TOP - 8, name)),
    ...rows.map((name, r) => label(LEFT - 8, TOP + r * TALL + TALL / 2 + 4, name, { anchor: 'end' })),
    label((LEFT + right) / 2, 15, columnLabel, { strong: true }),
    `<text class="strong" transform="translate(13 ${fixed((TOP + bottom) / 2)}) rotate(-90)" text-anchor="middle">${escape(rowLabel)}</text>`,
  ];
  return svg([...cells, ...names].join(''), `${rowLabel} by ${columnLabel}`, [right + 6, bottom + 6]);
}
