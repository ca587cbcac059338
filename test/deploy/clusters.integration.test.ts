import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { packageRoot } from '../../src/base/package-root.js';

const SCRIPT = join(packageRoot, 'deploy/slurm/shards.sh');
const work = mkdtempSync(join(tmpdir(), 'qalign-clusters-'));
// it prints its arguments, one a line
writeFileSync(join(work, 'qalign'), '#!/bin/sh\nprintf "%s\\n" "$@"\nexit ${CODE:-0}\n');
chmodSync(join(work, 'qalign'), 0o755);
afterAll(() => rmSync(work, { recursive: true, force: true }));

const read = (file: string): string => readFileSync(join(packageRoot, file), 'utf8');
const run = (env: Record<string, string>): { status: number | null; words: string[]; stderr: string } => {
  const { status, stdout, stderr } = spawnSync('bash', [SCRIPT], {
    encoding: 'utf8',
    env: { PATH: `${work}:${process.env['PATH']}`, ...env },
  });
  return { status, words: stdout.trim().split('\n'), stderr };
};

describe('deploy/slurm/shards.sh', () => {
  const task = { SHARDS: 's3://b/{0..9}.tar s3://b/more.tar', OUT: 's3://b/out', SLURM_ARRAY_TASK_COUNT: '4' };

  it('is a script of bash', () => {
    expect(spawnSync('bash', ['-n', SCRIPT]).status).toBe(0);
  });

  it('gives each task its part, also if the array begins at 0', () => {
    const one = run({ ...task, SLURM_ARRAY_TASK_ID: '3', SLURM_ARRAY_TASK_MIN: '1', QALIGN_ARGS: '--keep score>=3.5' });
    expect(one.words).toEqual([
      ...['score', '--shards', 's3://b/{0..9}.tar', '--shards', 's3://b/more.tar', '--out', 's3://b/out'],
      ...['--shard', '3/4', '--keep', 'score>=3.5'],
    ]);
    expect(one.status).toBe(0);
    expect(run({ ...task, SLURM_ARRAY_TASK_ID: '0', SLURM_ARRAY_TASK_MIN: '0' }).words.at(-1)).toBe('1/4');
    const again = { ...task, SLURM_ARRAY_TASK_ID: '7', SLURM_ARRAY_TASK_MIN: '3', SLURM_ARRAY_TASK_COUNT: '2' };
    expect(run({ ...again, PARTS: '16' }).words.at(-1)).toBe('7/16');
    expect(run({ ...again, SLURM_ARRAY_TASK_MIN: '3' }).status).toBe(2);
  });

  it('ends like qalign, and names missing settings', () => {
    const one = { ...task, SLURM_ARRAY_TASK_ID: '1', SLURM_ARRAY_TASK_MIN: '1' };
    expect(run({ ...one, CODE: '1' }).status).toBe(1);
    expect(run({ ...one, SHARDS: '' })).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('SHARDS') as string,
    });
    expect(run(task)).toMatchObject({ status: 2, stderr: expect.stringContaining('--array') as string });
  });
});

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly resources: { readonly limits: Record<string, unknown> };
}

describe('deploy/kubernetes/shards', () => {
  const { spec } = parse(read('deploy/kubernetes/shards/job.yaml')) as {
    spec: { completions: number; completionMode: string; template: { spec: { containers: [Container] } } };
  };
  const [container] = spec.template.spec.containers;

  it('is an indexed job whose number of parts is that of its pods', () => {
    expect(spec.completionMode).toBe('Indexed');
    expect(container.env.find(({ name }) => name === 'PARTS')?.value).toBe(String(spec.completions));
    expect(container.resources.limits).toMatchObject({ 'nvidia.com/gpu': 1 });
  });

  it('scores part index + 1', () => {
    const env = {
      PATH: `${work}:${process.env['PATH']}`,
      SHARDS: 'a',
      OUT: 'b',
      PARTS: '16',
      JOB_COMPLETION_INDEX: '15',
    };
    const { stdout } = spawnSync('sh', ['-c', container.args[0] ?? ''], { encoding: 'utf8', env });
    expect(stdout.trim().split('\n').slice(0, 7)).toEqual(['score', '--shards', 'a', '--out', 'b', '--shard', '16/16']);
  });
});

describe('deploy/ray', () => {
  it('RayJob has a token, one GPU a worker, a head without CPUs, and the Ray of the image', () => {
    const { spec } = parse(read('deploy/ray/rayjob.yaml')) as {
      spec: {
        entrypoint: string;
        rayClusterSpec: {
          rayVersion: string;
          headGroupSpec: { rayStartParams: Record<string, string>; template: { spec: { containers: [Container] } } };
          workerGroupSpecs: [{ template: { spec: { containers: [Container] } } }];
        };
      };
    };
    const { rayVersion, headGroupSpec, workerGroupSpecs } = spec.rayClusterSpec;
    expect(read('python/requirements-ray.lock')).toContain(`\nray==${rayVersion} `);
    expect(headGroupSpec.rayStartParams['num-cpus']).toBe('0');
    const [head, worker] = [headGroupSpec, workerGroupSpecs[0]].map(({ template }) => template.spec.containers[0]);
    for (const container of [head, worker]) {
      expect(container?.image).toBe('qalign:ray');
      expect(container?.env.find(({ name }) => name === 'RAY_AUTH_MODE')?.value).toBe('token');
      expect(container?.env.map(({ name }) => name)).toContain('RAY_AUTH_TOKEN');
    }
    expect(worker?.resources.limits).toMatchObject({ 'nvidia.com/gpu': 1 });
    expect(spec.entrypoint).toContain('--ray http://127.0.0.1:8265');
  });

  it('ray up starts a head without CPUs, whose dashboard is not public', () => {
    const cluster = parse(read('deploy/ray/cluster.yaml')) as Record<string, unknown> & {
      provider: { worker_ips: string[] };
      head_start_ray_commands: string[];
    };
    expect(cluster['max_workers']).toBe(cluster.provider.worker_ips.length);
    const start = cluster.head_start_ray_commands.at(-1);
    expect(start).toContain('--num-cpus=0');
    expect(start).toContain('--dashboard-host=127.0.0.1');
  });
});
