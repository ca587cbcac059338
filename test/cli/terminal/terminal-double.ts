import { plain } from '../../../src/cli/terminal/colour.js';
import type { Terminal } from '../../../src/cli/terminal/terminal.js';
import { silentLogger } from '../../../src/base/logger.js';
import { runCli } from '../../../src/cli/run.js';

export interface Heard {
  out: string;
  said: string[];
  code: number;
}

export function hearingTerminal(isTerminal = false): Terminal & { heard: Heard } {
  const heard: Heard = { out: '', said: [], code: -1 };
  return {
    heard,
    out: async (text) => {
      heard.out += text;
    },
    say: (text) => void heard.said.push(text),
    sayLine: (line) => void heard.said.push(line),
    progress: () => {},
    outIsTerminal: isTerminal,
    errIsTerminal: false,
    columns: isTerminal ? 80 : Infinity,
    paint: plain,
    paintErr: plain,
    useColour: () => {},
  };
}

/** `qalign …argv` in this process. */
export async function cli(...argv: string[]): Promise<Heard> {
  const terminal = hearingTerminal();
  terminal.heard.code = await runCli(argv, { terminal, log: silentLogger, signal: new AbortController().signal });
  return terminal.heard;
}
