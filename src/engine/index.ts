/** The boundary of src/engine: frames and prompts in, logits out; nothing of files, tasks or scores. */
export { createEngine, type Engine, type EngineOptions } from './engine.js';
export type { ClipSource } from './clip.js';
export type { BatchReport, EngineStats, ItemOptions, WorkerStats } from './pool.js';
export type { DeviceState } from './slot.js';
export type { PromptAnswer, Visual } from './queue.js';
