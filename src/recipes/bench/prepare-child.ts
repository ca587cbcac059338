/**
 * The qalign side of the comparison in prepare.ts. The first line of stdin names the files. For each further line it
 * prepares them once and prints `{ ms, sha256 }`. It is a separate process so that it can be pinned to one core.
 */
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { prepareImage } from '../../media/image.js';

interface Work {
  readonly files: readonly string[];
  readonly size: number;
}

async function runPass({ files, size }: Work): Promise<{ ms: number; sha256: string }> {
  const pictures: Uint8Array[] = [];
  const start = performance.now();
  for (const file of files) pictures.push((await prepareImage(file, { size })).data);
  const ms = performance.now() - start;
  const hash = createHash('sha256');
  for (const picture of pictures) hash.update(picture);
  return { ms, sha256: hash.digest('hex') };
}

let work: Work | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  if (work === undefined) work = JSON.parse(line) as Work;
  else process.stdout.write(`${JSON.stringify(await runPass(work))}\n`);
}
