import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { copyFile, cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/base/package-root.js';
import { installPacked } from '../setup/packed.js';
import { HELP_COMMANDS, README_COMMANDS, type Row } from './command-table.js';
import { guideCommands, helpCommands, programs, readmeCommands } from './documents.js';
import { GUIDE_COMMANDS } from './guide-table.js';

let work: string;
let home: string;
let env: NodeJS.ProcessEnv;
let service: ChildProcess;
let address: string;
let job = 'JOB';

const help = await helpCommands();

/** Another part of a photograph for each number. Quality rises with the MOS, because compression falls. */
function koniqPicture(photo: string, id: number): Sharp {
  const part = { left: 16 * id, top: 8 * ((7 * id) % 24), width: 128, height: 128 };
  return sharp(photo)
    .extract(part)
    .jpeg({ quality: 4 * id });
}

/** The files in the working directory of the commands, none from the checkout. */
async function makeFolder(folder: string): Promise<void> {
  const samples = join(packageRoot, 'test/fixtures/pictures');
  const pictures = ['pristine', 'blurred', 'crushed'];
  for (const name of ['photos', 'koniq', 'labels', 'pictures', 'kodak']) await mkdir(join(folder, name));
  for (const name of pictures) await copyFile(join(samples, `${name}.jpg`), join(folder, 'photos', `${name}.jpg`));
  for (const name of ['photo', 'other', 'a', 'b'])
    await copyFile(join(samples, 'pristine.jpg'), join(folder, `${name}.jpg`));
  await copyFile(join(samples, 'pan.mp4'), join(folder, 'clip.mp4'));
  await writeFile(join(folder, 'list.txt'), 'photo.jpg\nother.jpg\n');
  await writeFile(
    join(folder, 'ratings.csv'),
    `file,mos\n${pictures.map((name, i) => `${name}.jpg,${20 + 30 * i}\n`).join('')}`,
  );
  const blind = pictures.map((name, i) => `${name}.jpg,${2 + i},3\n`).join('');
  await writeFile(join(folder, 'blind-ratings.csv'), `image,mos,comparisons\n${blind}`);
  const rows = Array.from({ length: 24 }, (_, i) => [i + 1, 10 + 3.5 * i, i % 2 === 0 ? 'training' : 'test'] as const);
  const koniq = rows.map(([id, mos, set]) => `${id}.jpg,${mos},0.5,${set}`).join('\n');
  await writeFile(join(folder, 'labels/koniq10k_distributions_sets.csv'), `image_name,MOS,SD,set\n${koniq}\n`);
  for (const [id] of rows)
    await koniqPicture(join(samples, 'pristine.jpg'), id).toFile(join(folder, 'koniq', `${id}.jpg`));
  const kadid = [1, 2, 3, 4].map((i) => `I0${i}_01_01.png,I0${i}.png,${i},0.25`).join('\n');
  await writeFile(join(folder, 'labels/dmos.csv'), `dist_img,ref_img,dmos,var\n${kadid}\n`);
  await cp(join(packageRoot, 'configs/models/nano'), join(folder, 'my-checkpoint'), { recursive: true });
}

function shell(command: string): Promise<{ code: number; text: string }> {
  return new Promise((resolve) =>
    execFile('bash', ['-c', command], { cwd: home, env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), text: `${stdout}${stderr}` }),
    ),
  );
}

/** As the guide starts it, on a free port: `qalign serve configs/serve.yaml root=…`. */
async function startService(): Promise<void> {
  const keys = ['root=.', 'port=0', 'data_dir=service', 'device=cpu'];
  service = spawn('qalign', ['serve', 'configs/serve.yaml', ...keys], {
    cwd: home,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  service.stderr?.setEncoding('utf8').on('data', (chunk: string) => (log += chunk));
  while (!log.includes('"message":"loaded"')) {
    if (service.exitCode !== null) throw new Error(log);
    await sleep(50);
  }
  address = /"url":"http:\/\/([^"]+)"/.exec(log)?.[1] as string;
}

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'qalign-commands-'));
  const project = join(work, 'project');
  home = join(work, 'home');
  const bin = join(work, 'bin');
  await Promise.all([project, home, bin].map((folder) => mkdir(folder)));
  const installed = await installPacked(work, project);
  await symlink(join(installed, 'dist/src/cli/main.js'), join(bin, 'qalign'));
  for (const tool of ['tsx', 'openapi-typescript'])
    await symlink(await realpath(join(packageRoot, 'node_modules/.bin', tool)), join(bin, tool));
  await symlink(join(project, 'node_modules'), join(home, 'node_modules'));
  await makeFolder(home);
  env = {
    ...process.env,
    PATH: [bin, process.env['PATH']].join(delimiter),
    PACKAGE: installed,
    TINY: join(packageRoot, 'test/fixtures/golden/tiny_a/model'),
    PYTHONPATH: '',
    TEST_PACKAGES: process.env['PYTHONPATH'] ?? '',
  };
  await startService();
  await writeFile(join(home, 'package.json'), '{"type": "module"}');
  for (const { name, code } of programs) await writeFile(join(home, name!), atAddress(code));
}, 300_000);
afterAll(async () => {
  service.kill();
  await rm(work, { recursive: true, force: true, maxRetries: 5 });
});

const atAddress = (text: string): string => text.replaceAll('localhost:8080', address);

async function check(command: string, row: Row | undefined): Promise<void> {
  if (row === undefined) throw new Error(`${command} has no row; documents.test.ts lists what is missing`);
  const { instead = command, code = 0, says } = row;
  const line = atAddress(instead)
    .replace(/\/JOB\b/, `/${job}`)
    .replace(/^npx /, '')
    .replace(/^python /, '"$QALIGN_PYTHON" ')
    .replaceAll(/(^|; )curl /g, '$1curl -sS --fail-with-body ');
  const ran = await shell(line);
  expect(ran.text, line).not.toContain('this is a bug');
  expect([code].flat(), `${line}\n${ran.text.slice(-2000)}`).toContain(ran.code);
  if (says !== undefined) expect(ran.text, line).toMatch(says);
  job = /"id":"(job_\w+)"/.exec(ran.text)?.[1] ?? job;
}

/** That each has a row is tested in documents.test.ts. */
describe('commands, run outside of the checkout with the packed package', () => {
  it.each(readmeCommands)('README: %s', (command) => check(command, README_COMMANDS[command]), 120_000);
  it.each(guideCommands.map(({ guide, command }) => [guide, command] as const))(
    '%s: %s',
    (_, command) => check(command, GUIDE_COMMANDS[command]),
    120_000,
  );
  it.each(help)('help: %s', (command) => check(command, HELP_COMMANDS[command]), 120_000);
});
