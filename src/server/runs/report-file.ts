import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { QalignError } from '../../base/errors.js';
import type { Caller } from '../http/caller.js';
import { wantsGzip } from '../packed-answer.js';

/** The report runs no scripts and loads nothing. Pictures and styles are inside the file. */
const POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/** Sends `report.html` of an evaluation. @throws QalignError RUN_NOT_FOUND if there is none yet */
export async function sendReport({ req, res }: Pick<Caller, 'req' | 'res'>, folder: string): Promise<void> {
  const html = await readFile(join(folder, 'report.html')).catch((cause: unknown) => {
    throw new QalignError('RUN_NOT_FOUND', 'The evaluation is not completed and has no report yet; wait for its end.', {
      cause,
    });
  });
  res.type('text/html').set({
    'Content-Security-Policy': POLICY,
    'Content-Disposition': 'inline; filename="report.html"',
    'Cache-Control': 'no-store',
  });
  if (wantsGzip(req, res)) res.set('Content-Encoding', 'gzip').send(gzipSync(html));
  else res.send(html);
}
