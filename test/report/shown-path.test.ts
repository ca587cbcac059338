import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { shownCommand, withoutFolders } from '../../src/report/shown-path.js';

describe('withoutFolders', () => {
  it.each([
    ['There is no file /srv/jane/pictures/a.jpg; check it.', 'There is no file a.jpg; check it.'],
    [`"${join(homedir(), 'pics/a b.jpg')}" does not exist`, '"pics/a b.jpg" does not exist'],
    [`(${join(tmpdir(), 'x/a.jpg')})`, '(x/a.jpg)'],
    ['root:/mnt/x/y and root=/mnt/x/y', 'root:y and root=y'],
    ['file:///mnt/x/y.png', 'y.png'],
    ['../../../../home/jane/pics/a (1).jpg', 'a (1).jpg'],
    ['C:\\Users\\jane\\a.png is here', 'a.png is here'],
    ['&#39;/mnt/jane/a.png&#39;', '&#39;a.png&#39;'],
  ])('shortens %s', (text, shown) => expect(withoutFolders(text)).toBe(shown));

  it('shows paths below a root relative to it, also with blanks', () => {
    expect(withoutFolders('/data of jane/koniq/a.jpg', ['/data of jane'])).toBe('koniq/a.jpg');
    expect(withoutFolders('/data of janet/a.jpg', ['/data of jane'])).not.toBe('t/a.jpg');
  });

  it.each([
    'SRCC/PLCC of 0.941/0.950, (SRCC+PLCC)/2',
    'https://example.org/a/b',
    'MAGAer13/mplug-owl2-llama2-7b',
    'data/koniq/test.jsonl and ../shared/labels',
    '<p>a</p><br/><svg><path d="M1 2"/></svg>',
    '~/.cache/qalign/x',
  ])('leaves %s', (text) => expect(withoutFolders(text)).toBe(text));
});

describe('shownCommand', () => {
  it('keeps a command that can be typed again, and shortens absolute paths', () => {
    const words = ['koniq', '--out', '/mnt/of jane/r x.html', `data=${process.cwd()}/data`, '--media=/mnt/x/', 'a b'];
    expect(shownCommand(words)).toBe("koniq --out 'r x.html' data=data --media=x/ 'a b'");
    expect(shownCommand(['../data/x.jsonl', process.cwd()])).toBe('../data/x.jsonl .');
  });
});
