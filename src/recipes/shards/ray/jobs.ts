import { QalignError } from '../../../base/errors.js';
import { deadline } from '../../../base/first-signal.js';
import type { RayHead } from './head.js';

const ANSWER_MS = 30_000;
/** The head is asked again for so long before it counts as gone. */
const PATIENCE_MS = 60_000;
const PAUSE_MS = 1000;
const SHOWN = 300;

export type RayJobStatus = 'PENDING' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'STOPPED';
const STATUSES: readonly string[] = ['PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'STOPPED'];

/** What Ray knows about a job. */
export interface RayJobInfo {
  readonly status: RayJobStatus;
  /** Why it is in this state; empty if Ray does not say it. */
  readonly message: string;
}

export const hasEnded = ({ status }: RayJobInfo): boolean => status !== 'PENDING' && status !== 'RUNNING';

/** The Jobs API of a head. Every call but `version` is repeated for a minute while the head does not answer. */
export interface RayJobs {
  /** The version of Ray. It is the first contact, and fails at once if nothing listens at the address. */
  version(): Promise<string>;
  /** Undefined if there is no such job. */
  info(id: string): Promise<RayJobInfo | undefined>;
  /** Uploads a package, unless the head has it. Returns its URI. */
  upload(name: string, bytes: Uint8Array): Promise<string>;
  /** Returns false if another client has just submitted a job with this id. */
  submit(id: string, entrypoint: string, workingDir: string, metadata: Record<string, string>): Promise<boolean>;
  /** Asks the job to stop. */
  stop(id: string): Promise<void>;
}

/** @throws QalignError RAY_HEAD_FAILED if the head is gone or refuses, CANCELLED */
export function openRayJobs(head: RayHead, signal?: AbortSignal): RayJobs {
  const ask = async (method: Question['method'], path: string, body?: Uint8Array | object): Promise<Answer> =>
    askHead(head, { method, path, body }, signal);
  const first: Question = { method: 'GET', path: '/api/version', isFirst: true };

  return {
    async version() {
      const { ray_version: version } = read(head, await askHead(head, first, signal)) as { ray_version?: unknown };
      if (typeof version !== 'string') throw failed(head, 'is no dashboard of Ray');
      return version;
    },
    async info(id) {
      const answer = await ask('GET', `/api/jobs/${id}`);
      if (answer.status === 404) return undefined;
      const { status, message } = read(head, answer) as { status?: string; message?: unknown };
      if (status === undefined || !STATUSES.includes(status))
        throw failed(head, `reports the unknown status ${status} of a job`);
      return { status: status as RayJobStatus, message: typeof message === 'string' ? message : '' };
    },
    async upload(name, bytes) {
      const path = `/api/packages/gcs/${name}`;
      if ((await ask('GET', path)).status !== 200) require200(head, await ask('PUT', path, bytes));
      return `gcs://${name}`;
    },
    async submit(id, entrypoint, workingDir, metadata) {
      const runtimeEnv = { working_dir: workingDir };
      const body = { entrypoint, submission_id: id, runtime_env: runtimeEnv, metadata };
      const answer = await ask('POST', '/api/jobs/', body);
      // a used id is answered with the traceback of an error
      if (answer.status !== 200 && (await this.info(id)) !== undefined) return false;
      require200(head, answer);
      return true;
    },
    async stop(id) {
      require200(head, await ask('POST', `/api/jobs/${id}/stop`, {}));
    },
  };
}

/** Headers with the token of a head. */
export const authorization = ({ token }: RayHead): Record<string, string> =>
  token === undefined ? {} : { authorization: `Bearer ${token}` };

interface Answer {
  readonly status: number;
  readonly text: string;
}

interface Question {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly body?: Uint8Array | object | undefined;
  /** Nothing was submitted before. @default false */
  readonly isFirst?: boolean;
}

/** Nothing listens at the address, or it has no host. */
const REFUSED: readonly unknown[] = ['ECONNREFUSED', 'ENOTFOUND'];

async function askHead(head: RayHead, question: Question, signal: AbortSignal | undefined): Promise<Answer> {
  const start = performance.now();
  for (;;) {
    try {
      const answer = await askOnce(head, question, signal);
      // a proxy answers these while the head starts
      if (![502, 503, 504].includes(answer.status) || performance.now() - start > PATIENCE_MS) return answer;
    } catch (error) {
      if (signal?.aborted === true) throw new QalignError('CANCELLED', 'The request was cancelled.', { cause: error });
      const { code } = error as NodeJS.ErrnoException;
      if (question.isFirst === true && REFUSED.includes(code))
        throw failed(
          head,
          `cannot be reached (${String(code)}), and nothing was submitted; check --ray and the cluster`,
        );
      if (performance.now() - start > PATIENCE_MS) throw gone(head, error);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function askOnce(head: RayHead, { method, path, body }: Question, own?: AbortSignal): Promise<Answer> {
  const { signal, release } = deadline(ANSWER_MS, () => new Error(`no answer within ${ANSWER_MS / 1000} s`), own);
  const isBytes = body instanceof Uint8Array;
  // not fetch: it sends the headers of a browser, and Ray refuses those
  const { request } = await import('undici');
  try {
    const answer = await request(`${head.url}${path}`, {
      method,
      signal,
      headers: {
        'content-type': isBytes ? 'application/octet-stream' : 'application/json',
        ...authorization(head),
      },
      ...(body === undefined ? {} : { body: isBytes ? body : JSON.stringify(body) }),
    });
    return { status: answer.statusCode, text: await answer.body.text() };
  } finally {
    release();
  }
}

function require200(head: RayHead, { status, text }: Answer): void {
  if (status === 200) return;
  if (status === 401 || status === 403)
    throw failed(head, 'refuses the token; set RAY_AUTH_TOKEN or --ray-token-file to the token of the cluster');
  const last = text.trim().split('\n').at(-1) ?? '';
  throw failed(head, `answered ${status}${last === '' ? '' : `: ${last.slice(0, SHOWN)}`}`);
}

function read(head: RayHead, answer: Answer): object {
  require200(head, answer);
  try {
    const value: unknown = JSON.parse(answer.text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // reported below
  }
  throw failed(head, 'is no dashboard of Ray');
}

const failed = (head: RayHead, problem: string): QalignError =>
  new QalignError('RAY_HEAD_FAILED', `The head at ${head.url} ${problem}.`);

function gone(head: RayHead, cause: unknown): QalignError {
  const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : String(cause);
  return new QalignError(
    'RAY_HEAD_FAILED',
    `The head at ${head.url} has not answered for ${PATIENCE_MS / 1000} s (${reason}). Results that were committed stay. Start the cluster if it is gone, and run the same command again: it attaches to the job if it still runs, and otherwise continues.`,
    { cause },
  );
}
