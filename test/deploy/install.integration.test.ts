import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { ensurePython } from '../../src/engine/python/environment.js';

const PICTURE = join(packageRoot, 'test/fixtures/pictures/pristine.jpg');
const KEY = '0123456789abcdef0123456789abcdef';
/** As root the service runs in a mount namespace with a read-only root; otherwise the installed files are read-only. */
const CAN_REMOUNT = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0;

let work: string;
let prefix: string;

/** The parts of the checkout that .dockerignore allows in the image. */
function copyContext(to: string): void {
  const allowed = readFileSync(join(packageRoot, '.dockerignore'), 'utf8').match(/^!.+$/gm) ?? [];
  for (const name of allowed.map((line) => line.slice(1))) {
    mkdirSync(dirname(join(to, name)), { recursive: true });
    const filter = (path: string): boolean => !/__pycache__|\/node_modules/.test(path);
    cpSync(join(packageRoot, name), join(to, name), { recursive: true, filter });
  }
}

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'qalign-install-'));
  chmodSync(work, 0o755);
  prefix = join(work, 'opt');
  const context = join(work, 'context');
  const home = join(work, 'home');
  for (const folder of [context, home]) mkdirSync(folder);
  copyContext(context);
  symlinkSync(join(packageRoot, 'node_modules'), join(context, 'node_modules'));
  execFileSync('npm', ['run', 'build'], { cwd: context, stdio: 'ignore' });
  rmSync(join(context, 'node_modules'));
  execFileSync('npm', ['pack', '--ignore-scripts'], { cwd: context, stdio: 'ignore' });
  const tarball = readdirSync(context).find((name) => name.endsWith('.tgz')) ?? '';
  // uses the Python packages of the tests, because installing torch would take minutes
  const { executable } = await ensurePython();
  const cache = execFileSync('npm', ['config', 'get', 'cache'], { encoding: 'utf8' }).trim();
  const env = { PATH: process.env['PATH'] ?? '', HOME: home, npm_config_cache: cache };
  const words = ['app', '--package', join(context, tarball), '--prefix', prefix, '--python', executable];
  execFileSync('bash', [join(context, 'deploy/install.sh'), ...words], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  execFileSync('chmod', ['-R', 'a-w', prefix]);
}, 600_000);

afterAll(() => {
  spawnSync('chmod', ['-R', 'u+w', prefix]);
  rmSync(work, { recursive: true, force: true });
});

describe('deploy/install.sh', () => {
  it.each(['a b', 'a"b', "a'b", 'a$(exit 7)b', 'a`exit 7`b', 'a}b\\n'])('starts from a folder named %s', (name) => {
    const place = join(work, 'odd', name);
    for (const part of ['bin', 'app/dist/src/cli']) mkdirSync(join(place, part), { recursive: true });
    writeFileSync(join(place, 'app/dist/src/cli/main.js'), 'console.log(process.env.QALIGN_PYTHON, process.argv[2])');
    const script = readFileSync(join(packageRoot, 'deploy/install.sh'), 'utf8').replace(/^step=[^]*$/m, '');
    const made = spawnSync('bash', ['-c', `${script}\nlauncher "$1" "$1/python"`, 'install.sh', place]);
    expect(made.status, String(made.stderr)).toBe(0);
    const env = { PATH: process.env['PATH'] };
    const started = spawnSync(join(place, 'bin/qalign'), ['x y'], { env, encoding: 'utf8' });
    expect(started.stdout).toBe(`${place}/python x y\n`);
  });

  it('refuses unknown arguments', () => {
    const run = (...words: string[]) => spawnSync('bash', [join(packageRoot, 'deploy/install.sh'), ...words]).status;
    expect([run(), run('app'), run('app', '--package'), run('all')]).toEqual([2, 2, 2, 2]);
  });

  it('installs a service that scores from a read-only root and ends by SIGTERM', async () => {
    const [data, cache, temp] = ['data', 'cache', 'tmp'].map((name) => join(work, name)) as [string, string, string];
    for (const folder of [data, cache, temp]) mkdirSync(folder);
    const service = [join(prefix, 'bin/qalign'), 'serve', 'deploy/serve.yaml', 'port=0', 'health_port=0', 'device=cpu'];
    // only the folder of this test is writable, except PREFIX in it
    const mounts =
      'mount --bind "$1" "$1" && mount --bind "$2" "$2" && mount -o remount,bind,ro "$2" && mount -o remount,bind,ro /';
    const line = CAN_REMOUNT
      ? [
          'unshare',
          '-m',
          'sh',
          '-c',
          `${mounts} && shift 2 && cd "$QALIGN_DATA" && exec "$@"`,
          'sh',
          work,
          prefix,
          ...service,
        ]
      : service;
    const [command = '', ...words] = line;
    const env = {
      PATH: [dirname(process.execPath), '/usr/bin', '/bin', '/usr/sbin'].join(delimiter),
      ...{ HOME: cache, XDG_CACHE_HOME: cache, TMPDIR: temp, QALIGN_DATA: data, QALIGN_API_KEY: KEY },
      ...{ QALIGN_SERVE_DATA_DIR: join(data, 'service'), QALIGN_SERVE_RUNS_DIR: join(data, 'runs') },
    };
    const child = spawn(command, words, { cwd: data, env, stdio: ['ignore', 'ignore', 'pipe'] });
    const exited = new Promise<number | string>((done) =>
      child.once('exit', (code, signal) => done(signal ?? code ?? -1)),
    );
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    try {
      while (!log.includes('"message":"loaded"') && child.exitCode === null) await sleep(100);
      const port = /"url":"http:[^"]*:(\d+)"/.exec(log)?.[1];
      const url = `http://127.0.0.1:${port}`;
      expect((await fetch(`${url}/healthz`)).status, log).toBe(200);
      const body = readFileSync(PICTURE);
      const score = (key: string): Promise<Response> => {
        const form = new FormData();
        form.append('file', new Blob([body]), 'a.jpg');
        return fetch(`${url}/v1/score`, { method: 'POST', body: form, headers: { authorization: `Bearer ${key}` } });
      };
      expect((await score('wrong')).status).toBe(401);
      expect(await (await score(KEY)).text()).toContain('"score":4.01');
    } finally {
      child.kill('SIGTERM');
    }
    expect(await exited, log).toBe(0);
    expect(log).toContain('"message":"ended"');
  }, 120_000);
});
