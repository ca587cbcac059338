import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/base/package-root.js';
import { qalignOn, type Keyboard, type Shown } from './screen.js';

// the command in a pseudo-terminal, whose output a terminal emulator renders
const folder = mkdtempSync(join(tmpdir(), 'pty-'));
afterAll(() => rmSync(folder, { recursive: true }));
const PICTURE = join(packageRoot, 'test/fixtures/pictures/noisy.webp');
const BAR = /[█░]/;

function pictures(name: string, files: readonly string[]): string {
  mkdirSync(join(folder, name));
  for (const file of files) cpSync(PICTURE, join(folder, name, file));
  return join(folder, name);
}
const numbered = (count: number): string[] => Array.from({ length: count }, (_, at) => `p${100 + at}.webp`);

/** Records every screen whose bar is not its last line, and acts once rows and a bar are visible. */
function watching(act: (screen: Keyboard) => void): { wrong: string[][]; both: number; onChange: OnChange } {
  const seen = { wrong: [] as string[][], both: 0 };
  const onChange: OnChange = (lines, screen) => {
    const at = lines.findIndex((line) => BAR.test(line));
    if (at === -1 || !lines.some((line) => /p1\d\d\.webp/.test(line))) return;
    if (at !== lines.length - 1) seen.wrong.push(lines);
    if (seen.both++ === 0) act(screen);
  };
  return Object.assign(seen, { onChange });
}
type OnChange = (lines: string[], screen: Keyboard) => void;

const clean = ({ lines, folded, cursor }: Shown): void => {
  expect(lines.filter((line) => BAR.test(line) || line.includes('\u001b'))).toEqual([]);
  expect(folded).toEqual([]);
  expect(cursor).toEqual({ column: 0, visible: true });
};

describe('qalign score on a terminal', () => {
  const hostile = ['写真の長い名前の画像ファイルです.webp', '😀e\u0301👍.webp', 'x\u001b[31mred\u0007.webp'];

  it('shows rows above the bar, failures between them, names of any characters, also after a resize', async () => {
    const place = pictures('rows', [...numbered(12), ...hostile]);
    writeFileSync(join(place, 'p106-broken.jpg'), 'RIFF');
    const seen = watching((screen) => screen.resize(60));
    const shown = await qalignOn(['score', place, '--batch', '2'], { columns: 80, onChange: seen.onChange });
    expect(shown.code).toBe(1);
    expect([seen.wrong, seen.both > 0]).toEqual([[], true]);
    clean({ ...shown, folded: [] }); // the terminal folds lines that were printed before the resize
    const rows = shown.lines.filter((line) => /^ +\d\.\d{4} {2}(excellent|good|fair|poor|bad) /.test(line));
    expect(rows.length).toBe(15);
    expect(shown.lines.filter((line) => line.includes('score 1–5')).length).toBe(2); // again after the resize
    expect(shown.lines.join('\n')).toMatch(/ – {2}failed .*\n {10}\S/);
    for (const name of ['ファイルです.webp', '😀e\u0301👍.webp', '[31mred\\u0007.webp'])
      expect(shown.lines.join('\n')).toContain(name);
    expect(shown.lines.at(-1)).toMatch(/^qalign: 15 scored, 1 failed, mean \d\.\d\d, /);
    expect(shown.styled).toBe(true);
  });

  it('ends cleanly at Ctrl-C on a terminal without a size, and prints how to continue', async () => {
    const place = pictures('interrupted', numbered(200));
    const out = join(folder, 'scores.jsonl');
    let typed = false;
    const shown = await qalignOn(['score', place, '--model', 'nano', '--out', out], {
      columns: 0,
      onChange(lines, screen) {
        if (typed || !/ [1-9]\d*\/200 /.test(lines.at(-1) ?? '')) return;
        typed = true;
        screen.type('\u0003');
      },
    });
    expect(shown.code).toBe(130);
    clean(shown);
    const text = shown.lines.join('\n');
    expect(text).toMatch(/qalign: stopped early: \d+ scored/);
    expect(text).toContain('qalign: add --resume to the same command to continue');
    expect(readFileSync(out, 'utf8').split('\n').length).toBeLessThan(200);
  });
});

describe('lists and other commands on a terminal', () => {
  const records = join(folder, 'all.jsonl');
  const runs = join(folder, 'runs');
  const keys = ['--data-dir', join(folder, 'service')];

  it.each([80, 50])('fit %i columns', async (columns) => {
    const lists = [
      ['models', 'list'],
      ['dataset', 'list'],
      ['train', '--list'],
    ];
    for (const shown of await Promise.all(lists.map((argv) => qalignOn(argv, { columns })))) {
      clean(shown);
      expect(shown).toMatchObject({ code: 0, styled: true });
    }
  });

  it('have the same text without colours', async () => {
    const looks = [{}, { NO_COLOR: '1' }, { TERM: 'dumb' }].map((env) =>
      qalignOn(['models', 'list'], { columns: 40, env }),
    );
    const [shown, ...bare] = await Promise.all(looks);
    clean(shown!);
    for (const one of bare) expect(one).toMatchObject({ styled: false, lines: shown!.lines });
  });

  it.each([80, 50])('align keys and runs in %i columns, and keep numbers whole', async (columns) => {
    for (const id of ['koniq', 'a-run-with-a-long-name-of-a-person']) makeRun(join(runs, id));
    await qalignOn(['keys', 'create', `nightly-${columns}`, '--scope', 'score', ...keys], { columns });
    const listed = await qalignOn(['keys', 'list', ...keys], { columns });
    clean(listed);
    expect(listed.lines.join('\n')).toMatch(/nightly-\d\d +score +\d{4}-\d\d-\d\dT[\d:.]+Z$/m);
    const trained = await qalignOn(['runs', 'list'], { columns, env: { QALIGN_RUNS: runs } });
    clean(trained);
    expect(trained.lines.join('\n').match(/(?<= )0\.8757(?= |$)/gm)?.length).toBe(4);
  });

  it('show errors in red, and progress that fits a narrow terminal', async () => {
    const refused = await qalignOn(['score', join(folder, 'nothing.jpg'), '--nope'], { columns: 40 });
    clean(refused);
    expect([refused.code, refused.styled]).toEqual([2, true]);
    expect(refused.lines[0]).toMatch(/^qalign score: error: there is no/);
    const place = pictures('records', numbered(150));
    const lines = numbered(150).map((name, at) =>
      JSON.stringify({
        id: name,
        media: `records/${name}`,
        kind: 'image',
        task: 'quality',
        dataset: 'own',
        mos: 3,
        question: 'How good is it? <|image|>',
        answer: 'good',
        split: at % 2 ? 'train' : 'test',
        source: { file: 'own.csv', row: at + 1 },
      }),
    );
    expect(place).toContain('records');
    writeFileSync(records, `${lines.join('\n')}\n`);
    const seen: string[] = [];
    const checked = await qalignOn(['dataset', 'check', records], {
      columns: 40,
      onChange: (now) => void seen.push(now.at(-1) ?? ''),
    });
    clean({ ...checked, folded: [] }); // names of files are folded
    expect(seen.filter((line) => /\d+\/150 \(\d+ %\)/.test(line)).length).toBeGreaterThan(0);
  });
});

/** A run, read from its directory. */
function makeRun(place: string): void {
  mkdirSync(place, { recursive: true });
  const measured = { srcc: 0.8757, plcc: 0.8757, score_std: 0.1, level_mass: 1 };
  const evaluation = { event: 'evaluation', time: 1, step: 300, items: 20, ...measured };
  writeFileSync(join(place, 'recipe.json'), JSON.stringify({ name: 'koniq' }));
  writeFileSync(join(place, 'events.jsonl'), `${JSON.stringify(evaluation)}\n`);
}
