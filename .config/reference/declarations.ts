/** Public declarations and their docstrings, read by the TypeScript compiler. */
import { join, relative } from 'node:path';
import ts from 'typescript';

const ROOT = new URL('../..', import.meta.url).pathname;

export interface Docs {
  readonly doc: string;
  readonly tags: readonly { readonly name: string; readonly text: string }[];
}

export interface Member extends Docs {
  readonly name: string;
  readonly type: string;
  readonly isOptional: boolean;
}

export interface Declared extends Docs {
  readonly name: string;
  readonly kind: 'function' | 'class' | 'value' | 'type';
  /** Source file from the root of the repository, and the schema whose `Static` type it is. */
  readonly file: string;
  readonly schema: string | undefined;
  /** As TypeScript writes it, without bodies. */
  readonly code: string;
  readonly members: readonly Member[];
}

let loaded: ts.Program | undefined;

function program(): ts.Program {
  if (loaded !== undefined) return loaded;
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const roots = ['src/index.ts', 'src/client/client.ts'].map((file) => join(ROOT, file));
  return (loaded = ts.createProgram(roots, { ...options, noEmit: true }));
}

function moduleExports(file: string): ts.Symbol[] {
  const checker = program().getTypeChecker();
  const source = program().getSourceFile(join(ROOT, file));
  const found = source && checker.getSymbolAtLocation(source);
  if (found === undefined) throw new Error(`${file} is not part of the library`);
  return checker.getExportsOfModule(found);
}

/** The members of an interface. */
export function membersOf(file: string, name: string): Member[] {
  const symbol = moduleExports(file).find((one) => one.name === name);
  if (symbol === undefined) throw new Error(`${file} exports no ${name}`);
  return membersOfType(program().getTypeChecker().getDeclaredTypeOfSymbol(symbol));
}

/** What a module exports, in alphabetical order. */
export function exportsOf(file: string): Declared[] {
  return moduleExports(file)
    .map(declared)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function declared(exported: ts.Symbol): Declared {
  const checker = program().getTypeChecker();
  const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
  const all = symbol.declarations ?? [];
  const types = all.filter((node) => ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node));
  const node = (isTypeOnly(exported) ? types[0] : undefined) ?? all[0];
  if (node === undefined) throw new Error(`${exported.name} has no declaration`);
  const base = {
    name: exported.name,
    ...docsOf(symbol),
    file: relative(ROOT, node.getSourceFile().fileName),
    schema: undefined,
    members: [],
  };
  if (ts.isFunctionDeclaration(node)) {
    const overloads = all.filter(ts.isFunctionDeclaration);
    const shown = overloads.length > 1 ? overloads.filter(({ body }) => body === undefined) : overloads;
    return { ...base, kind: 'function', code: shown.map((one) => signature(exported.name, one)).join('\n') };
  }
  if (ts.isClassDeclaration(node)) {
    const made = node.members.find(ts.isConstructorDeclaration);
    const heritage = (node.heritageClauses ?? []).map(flat).join(' ');
    const constructor = made === undefined ? '' : `\nnew ${signature(exported.name, made)}`;
    const members = membersOfType(checker.getDeclaredTypeOfSymbol(symbol)).filter(({ doc }) => doc !== '');
    return { ...base, kind: 'class', code: `class ${exported.name} ${heritage}${constructor}`, members };
  }
  if (ts.isInterfaceDeclaration(node)) {
    const heritage = (node.heritageClauses ?? []).map(flat).join(' ');
    const parameters = node.typeParameters === undefined ? '' : `<${node.typeParameters.map(flat).join(', ')}>`;
    const schema = schemaIn(heritage);
    return {
      ...base,
      kind: 'type',
      schema,
      code: `interface ${exported.name}${parameters} ${schema === undefined ? heritage : ''}`.trim(),
      members: schema === undefined ? membersOfType(checker.getDeclaredTypeOfSymbol(symbol)) : [],
    };
  }
  if (ts.isTypeAliasDeclaration(node))
    return {
      ...base,
      kind: 'type',
      schema: schemaIn(flat(node.type)),
      code: `type ${exported.name} = ${flat(node.type)}`,
    };
  const type = checker.typeToString(checker.getTypeOfSymbolAtLocation(symbol, node), undefined, WHOLE);
  const schema = /^TObject</.test(type) ? exported.name : undefined;
  return { ...base, kind: 'value', schema, code: `const ${exported.name}: ${schema === undefined ? type : 'TObject'}` };
}

const WHOLE = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope;

const schemaIn = (text: string): string | undefined => /\bStatic<typeof (\w+)>/.exec(text)?.[1];

const isTypeOnly = (symbol: ts.Symbol): boolean =>
  symbol.declarations?.some(
    (node) => ts.isExportSpecifier(node) && (node.isTypeOnly || node.parent.parent.isTypeOnly),
  ) ?? false;

/** The text of a node on one line, without comments. */
function flat(node: ts.Node): string {
  return node
    .getText()
    .replaceAll(/\/\*[^]*?\*\//g, '')
    .replaceAll(/(^|\s)\/\/.*$/gm, '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/\breadonly (?=\w+\??:)/g, '')
    .trim();
}

function signature(name: string, node: ts.SignatureDeclaration): string {
  const checker = program().getTypeChecker();
  const types = node.typeParameters === undefined ? '' : `<${node.typeParameters.map(flat).join(', ')}>`;
  const parameters = node.parameters.map((one) => {
    const called = ts.isIdentifier(one.name) ? one.name.text : nameOfType(one.type);
    const isOptional = one.questionToken !== undefined || one.initializer !== undefined;
    const type = one.type === undefined ? checker.typeToString(checker.getTypeAtLocation(one)) : flat(one.type);
    return `${one.dotDotDotToken === undefined ? '' : '...'}${called}${isOptional ? '?' : ''}: ${type}`;
  });
  const result = ts.isConstructorDeclaration(node)
    ? ''
    : `: ${node.type === undefined ? returned(node) : flat(node.type)}`;
  const line = `${name}${types}(${parameters.join(', ')})${result}`;
  return line.length <= 100 ? line : `${name}${types}(\n${parameters.map((one) => `  ${one},\n`).join('')})${result}`;
}

/** A name for a parameter that is taken apart: `options: ScoreOptions`, `logistic: Logistic`. */
function nameOfType(node: ts.TypeNode | undefined): string {
  const name = node === undefined || !ts.isTypeReferenceNode(node) ? 'Options' : node.typeName.getText();
  return name.endsWith('Options') ? 'options' : `${name.slice(0, 1).toLowerCase()}${name.slice(1)}`;
}

function returned(node: ts.SignatureDeclaration): string {
  const checker = program().getTypeChecker();
  const found = checker.getSignatureFromDeclaration(node);
  return found === undefined ? 'unknown' : checker.typeToString(checker.getReturnTypeOfSignature(found), node, WHOLE);
}

function membersOfType(type: ts.Type): Member[] {
  return type.getProperties().flatMap((symbol) => {
    const node = symbol.valueDeclaration ?? symbol.declarations?.[0];
    if (node === undefined || ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) return [];
    return [
      {
        name: symbol.name.replace(/^__@(\w+)@.*$/, '[Symbol.$1]'),
        type: typeOfMember(symbol, node),
        isOptional: (symbol.flags & ts.SymbolFlags.Optional) !== 0,
        ...docsOf(symbol),
      },
    ];
  });
}

function typeOfMember(symbol: ts.Symbol, node: ts.Declaration): string {
  const checker = program().getTypeChecker();
  if (ts.isMethodSignature(node)) {
    const overloads = (symbol.declarations ?? []).filter(ts.isMethodSignature);
    return overloads.map((one) => signature('', one).replaceAll(/\s+/g, ' ')).join('; ');
  }
  if (
    (ts.isPropertySignature(node) || ts.isParameter(node) || ts.isPropertyDeclaration(node)) &&
    node.type !== undefined
  )
    return flat(node.type)
      .replace(/ \| undefined$/, '')
      .replace(/^\((\(.*\) => .*)\)$/, '$1');
  return checker.typeToString(checker.getTypeOfSymbolAtLocation(symbol, node), node, WHOLE);
}

function docsOf(symbol: ts.Symbol): Docs {
  const checker = program().getTypeChecker();
  const text = (parts: ts.SymbolDisplayPart[] | undefined): string =>
    ts
      .displayPartsToString(parts)
      .replaceAll(/\{@link (\w+)\}/g, '`$1`')
      .trim();
  const paragraphs = text(symbol.getDocumentationComment(checker)).split(/\n\s*\n/);
  return {
    // a line that begins an item of a list stays a line
    doc: paragraphs.map((one) => one.replaceAll(/\s*\n(?!- )\s*/g, ' ')).join('\n\n'),
    tags: symbol.getJsDocTags(checker).map(({ name, text: parts }) => ({ name, text: text(parts) })),
  };
}
