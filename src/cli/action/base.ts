import { QalignError } from '../../base/errors.js';
import { commitOf, isShallow, type Git } from './git.js';

/** The fields that are read from the event file of a workflow run. */
export interface WorkflowEvent {
  readonly before?: string;
  readonly deleted?: boolean;
  readonly repository?: { readonly default_branch?: string };
  readonly pull_request?: { readonly base?: { readonly sha?: string } };
  readonly merge_group?: { readonly base_sha?: string };
}

export interface Trigger {
  /** GITHUB_EVENT_NAME. */
  readonly name: string;
  /** GITHUB_REF. */
  readonly ref: string;
  readonly event: WorkflowEvent;
  /** The input `base`. */
  readonly base: string | undefined;
}

const NO_COMMIT = /^0+$/;
/** The empty tree. Its hash is the same in every SHA-1 repository. */
const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';

/**
 * The commit or tree to compare HEAD with. Undefined if the branch was deleted, so that nothing changed.
 *
 * @throws QalignError USAGE if this clone lacks the commit, or the event names no commit
 */
export async function chooseBase(git: Git, trigger: Trigger): Promise<string | undefined> {
  const { name, ref, event } = trigger;
  if ((await commitOf(git, 'HEAD')) === undefined)
    throw new QalignError('USAGE', 'This folder is not a git checkout with a commit; run actions/checkout first.');
  if (trigger.base !== undefined) return mergeBase(git, trigger.base, `the input base=${trigger.base}`);
  if (event.pull_request !== undefined) return baseOfPullRequest(git, name, ref, event.pull_request.base?.sha ?? '');
  if (event.merge_group !== undefined)
    return present(git, event.merge_group.base_sha ?? '', 'the base of the merge group');
  if (name === 'push') return baseOfPush(git, ref, event);
  throw new QalignError(
    'USAGE',
    `The event ${name || '(none)'} names no commit to compare with; set the input base, or changed-only: false to score all pictures.`,
  );
}

async function baseOfPullRequest(git: Git, name: string, ref: string, sha: string): Promise<string> {
  // actions/checkout checks out GitHub's merge commit; its first parent is a newer base than that of the event
  const isMerge = /^refs\/pull\/\d+\/merge$/.test(ref) && (await commitOf(git, 'HEAD^2')) !== undefined;
  const first = isMerge ? await commitOf(git, 'HEAD^1') : undefined;
  if (first !== undefined) return first;
  if (name === 'pull_request_target' && (await commitOf(git, 'HEAD')) === sha)
    throw new QalignError(
      'USAGE',
      'The base of the pull request is checked out, not its pictures; run the workflow on pull_request instead of pull_request_target.',
    );
  return mergeBase(git, sha, 'the base of the pull request');
}

async function baseOfPush(git: Git, ref: string, event: WorkflowEvent): Promise<string | undefined> {
  if (event.deleted === true) return undefined;
  const before = event.before ?? '';
  if (before !== '' && !NO_COMMIT.test(before)) {
    const found = await commitOf(git, before);
    if (found !== undefined) return found;
    if (await isShallow(git)) throw absent(before, 'the commit before the push', true);
  }
  // a new or force-pushed branch is compared with the default branch
  const branch = event.repository?.default_branch ?? '';
  if (branch !== '' && ref !== `refs/heads/${branch}`)
    return mergeBase(git, `refs/remotes/origin/${branch}`, `the default branch ${branch}`);
  if (before === '' || NO_COMMIT.test(before)) return EMPTY_TREE;
  throw absent(before, 'the commit before the push', false);
}

async function present(git: Git, revision: string, what: string): Promise<string> {
  const found = revision === '' ? undefined : await commitOf(git, revision);
  if (found === undefined) throw absent(revision, what, await isShallow(git));
  return found;
}

async function mergeBase(git: Git, revision: string, what: string): Promise<string> {
  const commit = await present(git, revision, what);
  const found = (await git('merge-base', commit, 'HEAD'))?.toString('utf8').trim();
  if (found !== undefined && found !== '') return found;
  if (await isShallow(git)) throw absent(revision, what, true);
  return commit; // histories without a common commit
}

function absent(revision: string, what: string, shallow: boolean): QalignError {
  const commit = revision === '' ? '' : ` (${revision})`;
  const advice = shallow
    ? 'set fetch-depth: 0 in the step actions/checkout'
    : 'set the input base to a commit or branch of this clone';
  return new QalignError(
    'USAGE',
    `The clone lacks ${what}${commit}, which is needed to find changed pictures; ${advice}.`,
  );
}
