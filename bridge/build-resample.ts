import { readFileSync } from 'node:fs';
import wabtInit from 'wabt';

const source = new URL('../src/media/resample/resample.wat', import.meta.url);
export const RESAMPLE_MODULE_PATH = 'src/media/resample/resample-module.generated.ts';

/** Compiles resample.wat and returns the text of {@link RESAMPLE_MODULE_PATH}. Every call returns the same text. */
export async function buildResampleModule(): Promise<string> {
  const wabt = await wabtInit();
  const module = wabt.parseWat('resample.wat', readFileSync(source, 'utf8'), { simd: true });
  module.validate();
  const { buffer } = module.toBinary({ write_debug_names: false });
  module.destroy();
  const lines =
    Buffer.from(buffer)
      .toString('base64')
      .match(/.{1,100}/g) ?? [];
  return [
    '// GENERATED from resample.wat by `npm run generate`; do not edit.',
    `/** ${buffer.length} bytes of WebAssembly (SIMD), base64. */`,
    'export const RESAMPLE_MODULE_BASE64 = [',
    ...lines.map((line) => `  '${line}',`),
    "].join('');",
    '',
  ].join('\n');
}
