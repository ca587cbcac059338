import Type, { type Static } from 'typebox';
import { closed } from './shapes.js';

const bytes = (description: string) => Type.Integer({ minimum: 0, description });

/** Memory of a GPU, as a worker on it measures it. */
export const DeviceMemory = closed(
  {
    allocated_bytes: bytes('memory of the tensors of the worker'),
    reserved_bytes: bytes('the same with the cache of the worker'),
    peak_bytes: bytes('largest allocated_bytes since the model was loaded'),
    free_bytes: bytes('free memory of the GPU'),
    total_bytes: bytes('memory of the GPU'),
  },
  { description: 'memory of the GPU after the last request; absent for a CPU' },
);
export type DeviceMemory = Static<typeof DeviceMemory>;
