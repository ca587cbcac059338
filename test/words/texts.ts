import ts from 'typescript';

/** A comment, a message or a paragraph that a person reads. */
export interface Text {
  /** Of its first line in the file, from 1. */
  readonly line: number;
  readonly text: string;
}

/** The texts of a file by the ending of its name; none for other kinds of files. */
export function textsOf(file: string, source: string): Text[] {
  if (file.endsWith('.ts')) return textsOfTypeScript(source);
  if (file.endsWith('.py')) return textsOfPython(source);
  if (file.endsWith('.md')) return textsOfMarkdown(source);
  if (/\.(ya?ml|sh|service)$|Dockerfile$/.test(file)) return commentBlocks(source);
  return [];
}

/** Names, SQL and styles are strings too: a sentence has at least four words and no code. */
const isSentence = (text: string): boolean =>
  text.trim().split(/\s+/).length >= 4 &&
  !/^\s*(CREATE|SELECT|INSERT|UPDATE|DELETE|PRAGMA|<!doctype|<svg|import) |[{;]\s*[a-z-]+:[^ ]|^(\s*\.\w+)+\s*$/.test(
    text,
  );

function textsOfTypeScript(source: string): Text[] {
  const file = ts.createSourceFile('file.ts', source, ts.ScriptTarget.Latest, true);
  const lineOf = (position: number): number => file.getLineAndCharacterOfPosition(position).line + 1;
  const comments = new Map<number, ts.CommentRange>();
  const texts: Text[] = [];
  const say = (node: ts.Node, text: string): void => {
    if (isSentence(text)) texts.push({ line: lineOf(node.getStart()), text });
  };
  const visit = (node: ts.Node): void => {
    for (const range of [
      ...(ts.getLeadingCommentRanges(source, node.pos) ?? []),
      ...(ts.getTrailingCommentRanges(source, node.end) ?? []),
    ])
      comments.set(range.pos, range);
    if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) say(node, node.text);
    else if (ts.isTemplateExpression(node))
      say(node, node.head.text + node.templateSpans.map(({ literal }) => `X${literal.text}`).join(''));
    for (const child of node.getChildren()) visit(child);
  };
  visit(file);
  const ranges = [...comments.values()].sort((a, b) => a.pos - b.pos);
  return [
    ...texts,
    ...joinLineComments(ranges.map(({ pos, end }) => ({ line: lineOf(pos), text: source.slice(pos, end) }))),
  ];
}

/** Line comments below each other are one text. */
function joinLineComments(comments: readonly Text[]): Text[] {
  const joined: Text[] = [];
  let last = 0;
  for (const { line, text } of comments) {
    if (text.startsWith('/*')) {
      joined.push({ line, text: text.replaceAll(/^\/\*\*?|\*\/$/g, '').replaceAll(/^\s*\* ?/gm, '') });
      continue;
    }
    const plain = text.replace(/^\/\/ ?/, '');
    const before = joined.at(-1);
    if (before !== undefined && last === line - 1 && last > 0)
      joined[joined.length - 1] = { line: before.line, text: `${before.text}\n${plain}` };
    else joined.push({ line, text: plain });
    last = line;
  }
  return joined;
}

function textsOfPython(source: string): Text[] {
  const texts: Text[] = [];
  const lineAt = (index: number): number => source.slice(0, index).split('\n').length;
  const found = /[rfbRFB]{0,2}("""|''')([^]*?)\1|#[^\n]*|[rfbRFB]{0,2}("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')/g;
  const comments: Text[] = [];
  for (const match of source.matchAll(found)) {
    const line = lineAt(match.index);
    if (match[2] !== undefined) texts.push({ line, text: match[2].replaceAll(/^[ \t]+/gm, '') });
    else if (match[0].startsWith('#')) comments.push({ line, text: match[0].replace('#', '//') });
    else if (isSentence(match[3]!)) texts.push({ line, text: match[3]!.slice(1, -1) });
  }
  return [...texts, ...joinLineComments(comments)];
}

function commentBlocks(source: string): Text[] {
  const lines = source.split('\n').flatMap((text, index): Text[] => {
    const comment = /(?:^|\s)#(?![!{])\s?(.*)$/.exec(text)?.[1];
    // command lines below "Needs" in the header of a recipe are code
    return comment === undefined || /^\s{2,}(qalign|pip) /.test(comment)
      ? []
      : [{ line: index + 1, text: `// ${comment}` }];
  });
  return joinLineComments(lines);
}

/** Paragraphs, items and cells; code is left out. */
function textsOfMarkdown(source: string): Text[] {
  const texts: Text[] = [];
  let isCode = false;
  let paragraph: { line: number; lines: string[] } | undefined;
  const end = (): void => {
    if (paragraph !== undefined) texts.push({ line: paragraph.line, text: paragraph.lines.join('\n') });
    paragraph = undefined;
  };
  source.split('\n').forEach((text, index) => {
    if (/^\s*(```|~~~)/.test(text)) {
      end();
      isCode = !isCode;
      return;
    }
    if (isCode || text.trim() === '') return end();
    if (text.trimStart().startsWith('|')) {
      end();
      for (const cell of text.split('|')) if (isSentence(cell)) texts.push({ line: index + 1, text: cell.trim() });
      return;
    }
    if (/^\s*([-*]|\d+\.|#+|>) /.test(text)) end();
    (paragraph ??= { line: index + 1, lines: [] }).lines.push(text.replace(/^\s*([-*]|\d+\.|#+|>) /, ''));
  });
  end();
  return texts;
}
