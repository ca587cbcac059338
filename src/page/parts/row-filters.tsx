import type { JSX } from 'preact';

interface RowFiltersProps<Show extends string> {
  readonly text: string;
  readonly show: Show;
  /** Values of `show` with their labels. */
  readonly choices: readonly (readonly [Show, string])[];
  readonly onChange: (change: { readonly text: string } | { readonly show: Show }) => void;
}

/** Which rows of a list of scores are shown: by a part of the name, and by their outcome. */
export function RowFilters<Show extends string>(filters: RowFiltersProps<Show>): JSX.Element {
  const { text, show, choices, onChange } = filters;
  return (
    <div class="filters">
      <label>
        <span class="hidden">Find by name</span>
        <input
          type="search"
          placeholder="Find by name"
          value={text}
          onInput={(event) => onChange({ text: event.currentTarget.value })}
        />
      </label>
      <label>
        <span class="hidden">Show</span>
        <select value={show} onChange={(event) => onChange({ show: event.currentTarget.value as Show })}>
          {choices.map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}
