import { examine, type DoctorReport } from '../recipes/doctor.js';
import { defineCommand } from './command.js';
import { wrap } from './terminal/fold.js';
import { labelled } from './terminal/table.js';
import type { Terminal } from './terminal/terminal.js';
import { asJson } from './terminal/json.js';

const SIGN = { ok: '✓', warning: '!', missing: '✗' } as const;
const STYLE = { ok: 'green', warning: 'yellow', missing: 'red' } as const;

export const doctor = defineCommand({
  name: 'doctor',
  summary: 'report what is installed, what is missing and what does not work without it',
  description: 'Changes nothing. Exit code 0 if pictures can be scored, else 1.',
  examples: ['qalign doctor', 'qalign doctor --json'],
  flags: { json: { type: 'boolean', help: 'print the report as JSON' } },
  async run({ flags, terminal, signal }) {
    terminal.progress('checking the installation …');
    const report = await examine(signal);
    terminal.progress(undefined);
    await terminal.out(flags.json ? asJson(report) : asText(report, terminal));
    return report.usable ? 0 : 1;
  },
});

/** The conclusion of the report, as one sentence. */
export function verdict({ usable, clips, ready }: Pick<DoctorReport, 'usable' | 'clips' | 'ready'>): string {
  if (!usable) return 'Nothing can be scored yet: see ✗ above.';
  const what = clips ? 'Pictures and clips can be scored' : 'Pictures can be scored, clips cannot';
  return ready ? `${what}.` : `${what}; the first score installs the Python environment.`;
}

function asText(report: DoctorReport, { columns, paint }: Terminal): string {
  const lines = report.checks.flatMap(({ name, status, found, cost }) =>
    labelled(`${paint(STYLE[status], SIGN[status])} ${name}`, 13, cost === '' ? [found] : [found, cost], columns),
  );
  const end = wrap(verdict(report), columns).map((line) => paint(report.usable ? 'green' : 'red', line));
  return `${[paint('bold', `qalign ${report.qalign}`), ...lines, ...end].join('\n')}\n`;
}
