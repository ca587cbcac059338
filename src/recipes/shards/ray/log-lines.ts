import { once } from 'node:events';
import { authorization } from './jobs.js';
import type { RayHead } from './head.js';

/** A driver writes at least every 30 s, so a longer silence is that of a lost connection. */
const SILENCE_MS = 120_000;

/**
 * Yields the lines of the log of a job from its start, as Ray writes them. It ends with the job, or when the connection
 * is lost or silent for two minutes. The last line without an end is left out.
 */
export async function* logLines(head: RayHead, id: string, signal: AbortSignal): AsyncGenerator<string, void> {
  const { Agent, WebSocket } = await import('undici'); // Node 20 has none that takes headers
  // the dashboard of Ray 2.60 closes a compressed connection without sending anything
  const agent = new Agent().compose((dispatch) => (options, handler) => {
    const headers = Object.entries(options.headers ?? {}).filter(([name]) => name !== 'sec-websocket-extensions');
    return dispatch({ ...options, headers: Object.fromEntries(headers) as Record<string, string> }, handler);
  });
  const socket = new WebSocket(`${head.url.replace(/^http/, 'ws')}/api/jobs/${id}/logs/tail`, {
    headers: authorization(head),
    dispatcher: agent,
  });
  const texts: string[] = [];
  let isOpen = true;
  const changed = new EventTarget();
  const wake = (): void => void changed.dispatchEvent(new Event('change'));
  const end = (): void => {
    isOpen = false;
    wake();
  };
  const silence = setTimeout(end, SILENCE_MS);
  socket.addEventListener('message', ({ data }: { data: unknown }) => {
    silence.refresh();
    texts.push(String(data));
    wake();
  });
  socket.addEventListener('close', end);
  socket.addEventListener('error', end);
  signal.addEventListener('abort', end, { once: true });
  let open = '';
  try {
    while (!signal.aborted) {
      const lines = (open + texts.splice(0).join('')).split('\n');
      open = lines.pop() ?? '';
      yield* lines;
      if (texts.length > 0) continue;
      if (!isOpen) return;
      await once(changed, 'change');
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', end);
    socket.close();
    void agent.destroy();
  }
}
