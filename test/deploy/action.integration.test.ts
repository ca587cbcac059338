import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import type { ScoreOutcome } from '../../src/api/result.js';
import { installPacked } from '../setup/packed.js';
import { runSteps, type StepsRan } from './action-steps.js';

const PICTURE = join(packageRoot, 'test/fixtures/pictures/pristine.jpg');
const ODD = [
  '-n.jpg',
  '::error::x.jpg',
  'a b.jpg',
  'a\n\n::error::b.jpg',
  'a|b\\|`c``.jpg',
  '<b>@me#1$(id).jpg',
  'sub/no ending',
];

let work: string;
let action: string;
let checkout: string;
let base: string;

const git = (folder: string, ...words: string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...words], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();

const put = (name: string): void => {
  mkdirSync(dirname(join(checkout, name)), { recursive: true });
  cpSync(PICTURE, join(checkout, name));
};

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'qalign-action-'));
  action = await installPacked(work, join(work, 'project'));
  checkout = join(work, 'checkout');
  mkdirSync(checkout);
  git(checkout, 'init', '-q', '-b', 'main');
  for (const name of ['same.jpg', 'gone.jpg', 'old name.jpg']) put(name);
  writeFileSync(join(checkout, 'notes.txt'), 'one');
  git(checkout, 'add', '-A');
  git(checkout, 'commit', '-qm', 'one');
  base = git(checkout, 'rev-parse', 'HEAD');
  git(checkout, 'rm', '-q', 'gone.jpg');
  git(checkout, 'mv', 'old name.jpg', 'new name.jpg');
  for (const name of [...ODD, 'drafts/d.jpg']) put(name);
  writeFileSync(join(checkout, 'damaged.jpg'), 'no picture');
  writeFileSync(join(checkout, 'notes.txt'), 'two');
  git(checkout, 'add', '-A');
  git(checkout, 'commit', '-qm', 'two');
}, 600_000);
afterAll(() => rmSync(work, { recursive: true, force: true }));

function run(name: string, event: object, inputs: Record<string, string> = {}, folder = checkout): Promise<StepsRan> {
  const file = join(work, 'event.json');
  writeFileSync(file, JSON.stringify(event));
  const env = { GITHUB_EVENT_NAME: name, GITHUB_EVENT_PATH: file, GITHUB_REF: 'refs/heads/main' };
  return runSteps({ inputs, action, checkout: folder, temp: work, env });
}

describe('the steps of action.yml', () => {
  it('score the files that a pull request changed, with any file names', async () => {
    const event = { pull_request: { base: { sha: base } } };
    const paths = '**\n!drafts\n';
    const { code, log, outputs, summary } = await run('pull_request', event, { paths, 'fail-below': '4.9' });
    const rows = readFileSync(outputs['results'] ?? '', 'utf8')
      .trim()
      .split('\n');
    const inputs = rows.map((row) => (JSON.parse(row) as ScoreOutcome).input);
    expect(inputs.sort()).toEqual([...ODD, 'damaged.jpg', 'new name.jpg'].sort());
    expect(code, log).toBe(1); // a failure has priority over a low score
    expect(outputs).toMatchObject({ count: '8', failed: '1', below: '8' });
    expect(outputs['mean']).toBe('4.0130');
    expect(summary).toContain('<code>&lt;b&gt;@me#1$(id).jpg</code>');
    expect(summary).toContain('<code>a|b\\|`c``.jpg</code>');
    expect(summary).toContain('under 4.9');
    const quiet = /::stop-commands::(\S+)\n([^]*)\n::\1::/.exec(log);
    expect(log.replace(quiet?.[0] ?? '-', '')).not.toMatch(/^::error::/m);
  }, 200_000);

  it('end like qalign score --fail-below, in a working directory', async () => {
    const event = { before: base };
    const inputs = { 'working-directory': 'drafts', 'fail-below': '4.9' };
    const { code, outputs, log } = await run('push', event, inputs);
    expect(code, log).toBe(3);
    expect(outputs).toMatchObject({ count: '1', below: '1', lowest: '4.0130' });
    expect(log).toContain('::error title=qalign::1 scored, 1 under 4.9');
  }, 200_000);

  it('succeed if no picture changed, and report it', async () => {
    const { code, log, outputs, summary } = await run('pull_request', {}, { base: 'HEAD' });
    expect(code, log).toBe(0);
    expect(outputs).toEqual(expect.objectContaining({ count: '0', mean: '', lowest: '', results: '' }));
    expect(summary).toContain('No picture or clip changed.');
  });

  it('report what a shallow clone lacks', async () => {
    const shallow = join(work, 'shallow');
    git(work, 'clone', '-q', '--depth', '1', `file://${checkout}`, shallow);
    const event = { pull_request: { base: { sha: base } } };
    const { code, log, summary } = await run('pull_request', event, {}, shallow);
    expect(code).toBe(2);
    expect(log).toContain('fetch-depth: 0');
    expect(summary).toContain('fetch-depth: 0');
  });

  it('compare with the base side of the merge commit of actions/checkout', async () => {
    const merged = join(work, 'merged');
    git(work, 'clone', '-q', checkout, merged);
    git(merged, 'checkout', '-q', '-b', 'pr', base);
    writeFileSync(join(merged, 'text.txt'), 'no picture');
    git(merged, 'add', '-A');
    git(merged, 'commit', '-qm', 'text');
    git(merged, 'checkout', '-q', 'main');
    git(merged, 'merge', '-q', '--no-ff', '-m', 'merge', 'pr');
    const file = join(work, 'merge.json');
    writeFileSync(file, JSON.stringify({ pull_request: { base: { sha: base } } }));
    const env = { GITHUB_EVENT_NAME: 'pull_request', GITHUB_EVENT_PATH: file, GITHUB_REF: 'refs/pull/7/merge' };
    const { code, log, outputs } = await runSteps({ inputs: {}, action, checkout: merged, temp: work, env });
    expect(code, log).toBe(0);
    expect(outputs['count']).toBe('0'); // only main changed pictures, not the pull request
  });

  it('refuse invalid inputs', async () => {
    for (const [inputs, sentence] of [
      [{ 'fail-below': 'low' }, 'must be a number'],
      [{ base: '--output=x' }, 'lacks the input base'],
      [{ 'changed-only': 'maybe' }, 'must be true or false'],
      [{ base, task: 'taste' }, 'quality'],
      [{}, 'names no commit'],
    ] as const) {
      const { code, log } = await run('schedule', {}, inputs);
      expect([code, log]).toEqual([2, expect.stringContaining(sentence) as string]);
    }
  });
});
