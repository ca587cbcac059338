import { Transform, type Readable, type TransformCallback } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Request } from 'express';
import { QalignError } from '../../base/errors.js';

const DECODERS = { gzip: createGunzip, deflate: createInflate, br: createBrotliDecompress } as const;
type Encoding = keyof typeof DECODERS | 'identity';

/** Encoding of a request body. @throws QalignError BODY_UNSUPPORTED for encodings that no route decodes */
export function encodingOf(req: Request): Encoding {
  const encoding = (req.get('content-encoding') ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity' || Object.hasOwn(DECODERS, encoding)) return encoding as Encoding;
  throw new QalignError(
    'BODY_UNSUPPORTED',
    `The Content-Encoding ${JSON.stringify(encoding.slice(0, 50))} is not supported; use ${Object.keys(DECODERS).join(', ')}, or send the body uncompressed.`,
  );
}

/**
 * Decodes the Content-Encoding of a body. A compressed body yields at most `most` bytes, so that a small body cannot
 * expand beyond the limit. Its errors are MALFORMED and BODY_TOO_LARGE. Destroying the stream leaves the request
 * readable. @throws QalignError as `encodingOf`
 */
export function unpackedBody(req: Request, most: number): Readable {
  const encoding = encodingOf(req);
  if (encoding === 'identity') return req;
  const decoder = DECODERS[encoding]();
  const counted = new Transform({
    transform: atMost(most, `The decompressed body (${encoding}) is larger than ${most} bytes.`),
  });
  decoder.on('error', (cause) =>
    counted.destroy(
      new QalignError(
        'MALFORMED',
        `The Content-Encoding is ${encoding}, but the body is not valid ${encoding}: ${cause.message}.`,
        {
          cause,
        },
      ),
    ),
  );
  counted.on('close', () => {
    req.unpipe(decoder);
    decoder.destroy();
  });
  req.pipe(decoder).pipe(counted);
  return counted;
}

function atMost(most: number, message: string): (chunk: Buffer, encoding: string, done: TransformCallback) => void {
  let bytes = 0;
  return (chunk, _, done) => {
    bytes += chunk.length;
    if (bytes > most) done(new QalignError('BODY_TOO_LARGE', message));
    else done(null, chunk);
  };
}

/**
 * Yields the chunks of a body until more than `most` bytes arrived or `signal` aborts. A slow sender blocks nothing
 * after that. @throws QalignError BODY_TOO_LARGE, or the reason of the signal
 */
export async function* chunksOf(body: Readable, most: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  const stopped = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as QalignError), { once: true }),
  );
  stopped.catch(() => undefined); // The race below reports the error; after the end of the loop no code does.
  signal.throwIfAborted();
  const chunks = body.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer, undefined>;
  let bytes = 0;
  try {
    for (;;) {
      const next = chunks.next();
      next.catch(() => undefined);
      const { done, value } = await Promise.race([next, stopped]);
      if (done === true) return;
      bytes += value.length;
      if (bytes > most) throw new QalignError('BODY_TOO_LARGE', `The body is larger than ${most} bytes.`);
      yield value;
    }
  } finally {
    chunks.return?.().catch(() => undefined); // Stops listening, so that the rest can be read and dropped.
  }
}
