/** Generates JSON Schema and Python types from the TypeBox source of the protocol. `npm run generate` writes them. */
import { pythonSource } from './generate-python.js';
import { SCHEMAS } from './protocol/index.js';

export const SCHEMA_FOLDER = 'bridge/schema';

/** Maps the path of every generated file, relative to the repository root, to its content. */
export function protocolFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (const [name, schema] of Object.entries(SCHEMAS)) {
    const document = {
      $schema: 'http://json-schema.org/draft-07/schema#',
      title: name,
      ...(JSON.parse(JSON.stringify(schema)) as object),
    };
    files.set(`${SCHEMA_FOLDER}/${name}.json`, `${JSON.stringify(document, null, 1)}\n`);
  }
  files.set('python/qalign/protocol.py', pythonSource());
  return files;
}
