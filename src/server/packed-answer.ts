import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Request, Response } from 'express';

/** A shorter answer fits into a few packets uncompressed. */
const LEAST_BYTES = 16 * 1024;

/**
 * True where an answer is compressed: the client accepts gzip and requests no range. Ranges refer to uncompressed
 * bytes. Sets Vary: Accept-Encoding.
 */
export function wantsGzip(req: Request, res: Response): boolean {
  res.vary('Accept-Encoding');
  return (
    req.method !== 'HEAD' && req.get('range') === undefined && req.acceptsEncodings(['gzip', 'identity']) === 'gzip'
  );
}

/** Compresses while it sends. A client that disconnects is not an error. */
export async function sendGzip(res: Response, content: Readable, gone: AbortSignal): Promise<void> {
  res.set('Content-Encoding', 'gzip');
  await pipeline(content, createGzip(), res).catch((error: Error) => {
    if (!gone.aborted) throw error;
  });
}

/** The first bytes of a file, compressed. */
export async function sendFileGzip(
  res: Response,
  file: string,
  bytes: number | undefined,
  gone: AbortSignal,
): Promise<void> {
  const opened = await open(file); // An error is reported before the answer begins.
  await sendGzip(res, opened.createReadStream(bytes === undefined ? {} : { end: bytes - 1 }), gone);
}

/** Sends JSON, compressed where that is worthwhile. */
export function sendJson(req: Request, res: Response, body: unknown): void {
  const text = Buffer.from(JSON.stringify(body));
  res.type('application/json');
  if (text.length < LEAST_BYTES || !wantsGzip(req, res)) return void res.send(text);
  res.set('Content-Encoding', 'gzip');
  pipeline(Readable.from([text]), createGzip(), res).catch(() => {}); // The client disconnected.
}
