import { parentPort } from 'node:worker_threads';
import type { Preparation } from '../../bridge/protocol/chat.js';
import type { View } from '../../bridge/protocol/views.js';
import { QalignError, type ErrorCode } from '../base/errors.js';
import { NeedsMemory } from './budget/needs-memory.js';
import { prepareCopies, type CopyPlan } from './distort/copies.js';
import { prepareFrame, prepareImage, type PreparedImage } from './image.js';
import type { MediaLimits } from './limits.js';
import type { MediaInput } from './media-input.js';
import type { RawPicture } from './resample/resample.js';
import type { MapOptions } from '../scoring/quality-map.js';
import { prepareWindows, type PreparedWindows, type WindowRange } from './windows/prepare-windows.js';

/** A request from the pool to a thread. */
export type PrepareRequest =
  | {
      readonly kind: 'image';
      readonly input: MediaInput;
      readonly size: number;
      readonly views: readonly View[];
      readonly preparation?: Preparation;
      readonly autoOrient: boolean;
      readonly limits: Partial<MediaLimits>;
      /** Bytes of memory that decoding can take. Infinity if no other picture is decoded at the same time. */
      readonly granted: number;
    }
  | {
      readonly kind: 'windows';
      readonly input: MediaInput;
      readonly size: number;
      readonly views: readonly View[];
      readonly autoOrient: boolean;
      readonly limits: Partial<MediaLimits>;
      readonly granted: number;
      readonly map: MapOptions;
      readonly range: WindowRange;
    }
  | {
      readonly kind: 'copies';
      readonly input: MediaInput;
      readonly size: number;
      readonly views: readonly View[];
      readonly limits: Partial<MediaLimits>;
      readonly granted: number;
      readonly plans: readonly CopyPlan[];
    }
  | {
      readonly kind: 'frames';
      readonly frames: readonly RawPicture[];
      readonly size: number;
      readonly views: readonly View[];
      readonly preparation?: Preparation;
    };

/** The pixels, and for a picture also its other properties. */
export type Prepared = { readonly data: Uint8Array } & Partial<
  Pick<PreparedWindows, 'original' | 'warnings' | 'decoder' | 'plan'> & Pick<PreparedImage, 'width' | 'height'>
>;

/**
 * The answer of a thread. The data are transferred, not copied. `needs`: decoding was not started because it needs this
 * many bytes.
 */
export type PrepareAnswer =
  Prepared | { readonly needs: number } | { readonly code: ErrorCode; readonly message: string };

async function prepare(request: PrepareRequest): Promise<Prepared> {
  if (request.kind === 'image') {
    const { input, kind: _, ...options } = request;
    return prepareImage(input, options);
  }
  if (request.kind === 'windows') {
    const { input, range, kind: _, ...options } = request;
    return prepareWindows(input, { ...options, ...range });
  }
  if (request.kind === 'copies') return { data: await prepareCopies(request.input, request) };
  const { frames, kind: _, ...form } = request;
  const drawn = frames.map((frame) => prepareFrame(frame, form).data);
  const all = new Uint8Array(drawn.reduce((sum, { length }) => sum + length, 0));
  drawn.reduce((at, data) => (all.set(data, at), at + data.length), 0);
  return { data: all };
}

parentPort?.on('message', (request: PrepareRequest) => {
  prepare(request).then(
    (prepared) => parentPort?.postMessage(prepared satisfies PrepareAnswer, [prepared.data.buffer as ArrayBuffer]),
    (error: unknown) => {
      if (error instanceof NeedsMemory) return parentPort?.postMessage({ needs: error.bytes } satisfies PrepareAnswer);
      const known = error instanceof QalignError;
      const message = error instanceof Error ? error.message : String(error);
      parentPort?.postMessage({ code: known ? error.code : 'MEDIA_CORRUPT', message } satisfies PrepareAnswer);
    },
  );
});
