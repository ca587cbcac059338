import type { JSX } from 'preact';

/** The head of a table. Columns in `numbers` are aligned as numbers. */
export function TableHead({
  columns,
  numbers = [],
}: {
  readonly columns: readonly string[];
  readonly numbers?: readonly string[];
}): JSX.Element {
  return (
    <thead>
      <tr>
        {columns.map((name) => (
          <th key={name} scope="col" class={numbers.includes(name) ? 'n' : undefined}>
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}
