import { describe, expect, it } from 'vitest';
import { faultsIn, textFiles } from './files.js';
import { faultsOf } from './rules.js';
import { textsOf } from './texts.js';

describe('texts that people read', () => {
  it.each(textFiles())('%s has short sentences without translated turns', (file) => {
    expect(faultsIn(file)).toEqual([]);
  });
});

describe('the rules', () => {
  it('find long sentences and translated turns in comments, messages and documents', () => {
    const long = Array.from({ length: 26 }, () => 'word').join(' ');
    for (const [file, source] of [
      ['a.ts', `/** ${long}. */\nexport const a = 1;`],
      ['a.ts', `// ${long.slice(0, 60)}\n// ${long.slice(60)}\nexport const a = 1;`],
      ['a.ts', `throw new Error(\`the job goes on when \${x} is there\`);`],
      ['a.py', `def f():\n    """${long}."""\n`],
      ['a.py', `raise ValueError(f"{name} is no file that can be read")\n`],
      ['a.yaml', `key: 1 # ${long}`],
      ['a.md', `- ${long}`],
    ] as const)
      expect(textsOf(file, source).flatMap(faultsOf), `${file}: ${source}`).toHaveLength(1);
  });

  it('pass over code and count sentences one by one', () => {
    const short = Array.from({ length: 20 }, () => 'word').join(' ');
    expect(faultsOf({ line: 1, text: `${short}. Then ${short}.` })).toEqual([]);
    expect(textsOf('a.ts', `const sql = 'SELECT a FROM b WHERE c goes on';`)).toEqual([]);
    expect(textsOf('a.md', `\`\`\`sh\n${short} ${short}\n\`\`\``)).toEqual([]);
  });
});
