/** The request of a row, for programs. */
export interface Call {
  readonly service: string;
  readonly name: string;
  readonly task: string;
  readonly scale: string;
  readonly model: string | undefined;
  readonly needsKey: boolean;
  /** Absent: the row is a file. */
  readonly source?: { readonly url?: string; readonly path?: string } | undefined;
}

const quoteShell = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const baseName = (name: string): string => name.split(/[\\/]/).at(-1) ?? name;

const settingsOf = ({ task, scale, model }: Call): Record<string, string | string[]> => ({
  tasks: [task],
  scale,
  ...(model === undefined ? {} : { model }),
});

export function curl(call: Call): string {
  const key = call.needsKey ? ` -H "Authorization: Bearer $QALIGN_API_KEY"` : '';
  const url = quoteShell(`${call.service}/v1/score`);
  if (call.source !== undefined)
    return `curl${key} -H 'Content-Type: application/json' -d ${quoteShell(JSON.stringify({ items: [call.source], ...settingsOf(call) }))} ${url}`;
  const fields = Object.entries(settingsOf(call)).map(
    ([name, value]) => `-F ${quoteShell(`${name}=${String(value)}`)}`,
  );
  // The quotes inside are for curl, which ends a file name at a comma or semicolon.
  const file = quoteShell(`file=@"${baseName(call.name).replaceAll(/["\\]/g, '\\$&')}"`);
  return `curl${key} -F ${file} ${fields.join(' ')} ${url}`;
}

export function typescript(call: Call): string {
  const options = `{ url: ${JSON.stringify(call.service)}${call.needsKey ? ', key: process.env.QALIGN_API_KEY' : ''} }`;
  const item =
    call.source === undefined
      ? `{ data: await readFile(${JSON.stringify(baseName(call.name))}), name: ${JSON.stringify(baseName(call.name))} }`
      : JSON.stringify(call.source);
  return [
    ...(call.source === undefined ? ["import { readFile } from 'node:fs/promises';"] : []),
    "import { createClient } from 'qalign/client';",
    '',
    `const client = createClient(${options});`,
    `const { items } = await client.score([${item}], ${JSON.stringify(settingsOf(call))});`,
    'console.log(items[0]?.results);',
  ].join('\n');
}

export function python(call: Call): string {
  const headers = call.needsKey ? ', headers={"Authorization": f"Bearer {os.environ[\'QALIGN_API_KEY\']}"}' : '';
  const url = JSON.stringify(`${call.service}/v1/score`);
  const body =
    call.source === undefined
      ? `files={"file": open(${JSON.stringify(baseName(call.name))}, "rb")}, data=${JSON.stringify(
          Object.fromEntries(Object.entries(settingsOf(call)).map(([name, value]) => [name, String(value)])),
        )}`
      : `json=${JSON.stringify({ items: [call.source], ...settingsOf(call) })}`;
  return [
    ...(call.needsKey ? ['import os'] : []),
    'import requests',
    '',
    `answer = requests.post(${url}, ${body}${headers}, timeout=60)`,
    'answer.raise_for_status()',
    'print(answer.json()["items"][0]["results"])',
  ].join('\n');
}
