import { setTimeout as sleep } from 'node:timers/promises';
import { pick } from './ledger.js';
import { ODD_REQUESTS, type Target } from './odd-requests.js';

/** How often each kind of request was answered so: a status, or how its connection ended. */
export type Answers = Record<string, Record<string, number>>;

const AT_ONCE = 8;
/** Until the ends of connections have reached the service too. */
const QUIET_MS = 100;

/** Sends odd requests, some at a time. After each `every` of them nothing is under way, and `look` is called. */
export async function sendOddRequests(
  target: Target,
  { requests, every, look }: { readonly requests: number; readonly every: number; readonly look: () => Promise<void> },
): Promise<Answers> {
  const answers: Answers = {};
  const names = Object.keys(ODD_REQUESTS);
  const sendOne = async (): Promise<void> => {
    const name = pick(target.random, names);
    const answer = (await ODD_REQUESTS[name]?.(target)) ?? '';
    const ofKind = (answers[name] ??= {});
    ofKind[answer] = (ofKind[answer] ?? 0) + 1;
  };
  for (let sent = 0; sent < requests; sent += every) {
    let left = Math.min(every, requests - sent);
    const senders = Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await sendOne();
    });
    await Promise.all(senders);
    await sleep(QUIET_MS);
    await look();
  }
  return answers;
}

const ALLOWED = /^(?:[1-4]\d\d|503|504|closed|left|other)$/;

/** Answers that no request should get: errors of the service, and none at all. */
export const wrongAnswers = (answers: Answers): string[] =>
  Object.entries(answers).flatMap(([name, statuses]) =>
    Object.entries(statuses).flatMap(([answer, n]) => (ALLOWED.test(answer) ? [] : [`${name}: ${n} times ${answer}`])),
  );
