export interface Sample {
  readonly name: string;
  /** `model nano, status 200`; empty without labels. */
  readonly labels: string;
  readonly value: number;
  readonly help: string;
}

/** The samples of a text exposition of Prometheus. */
export function samplesOf(text: string): Sample[] {
  const helps = new Map<string, string>();
  const found: Sample[] = [];
  for (const line of text.split('\n')) {
    const [, of, help] = /^# HELP (\S+) (.*)$/.exec(line) ?? [];
    if (of !== undefined) helps.set(of, help ?? '');
    const [, name, labels = '', value] = /^([a-z_][\w:]*)(?:\{(.*)\})? (\S+)/i.exec(line) ?? [];
    if (name === undefined) continue;
    const shown = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
      .map(([, key, word]) => `${key} ${word}`)
      .join(', ');
    found.push({ name, labels: shown, value: Number(value), help: helps.get(name) ?? '' });
  }
  return found;
}
