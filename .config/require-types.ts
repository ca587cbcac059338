/**
 * `tsx .config/require-types.ts DIST`: a build step. Writes `.d.cts` files, which type `require('qalign')` under
 * `module: node16`. Node loads the same ES module.
 */
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import ts from 'typescript';

const ENTRIES = ['src/index', 'src/client/client'];

function requireTypes(file: string): string {
  const program = ts.createProgram([file], { module: ts.ModuleKind.NodeNext, skipLibCheck: true });
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file);
  const module = source && checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${file} is not a module; run "npm run build" first`);
  const from = `'./${basename(file, '.d.ts')}.js' with { 'resolution-mode': 'import' }`;
  const values = checker.getExportsOfModule(module).flatMap((symbol) => {
    const { flags } = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    if (!(flags & ts.SymbolFlags.Value) || isTypeOnly(symbol)) return [];
    const value = `export declare const ${symbol.name}: typeof esm.${symbol.name};`;
    return flags & ts.SymbolFlags.Type ? [value, `export type ${symbol.name} = esm.${symbol.name};`] : [value];
  });
  return [`import type * as esm from ${from};`, `export type * from ${from};`, ...values, ''].join('\n');
}

const isTypeOnly = (symbol: ts.Symbol): boolean =>
  symbol.declarations?.some(
    (node) => ts.isExportSpecifier(node) && (node.isTypeOnly || node.parent.parent.isTypeOnly),
  ) ?? false;

const dist = process.argv[2] ?? 'dist';
for (const entry of ENTRIES) writeFileSync(join(dist, `${entry}.d.cts`), requireTypes(join(dist, `${entry}.d.ts`)));
