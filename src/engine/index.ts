/** src/engine takes frames and prompts and returns logits. It does not depend on files, tasks or scores. */
export { createEngine, type Engine, type EngineOptions } from './engine.js';
export { BatchGroup, type BatchPlace } from './batch-group.js';
export type { ClipSource } from './clip.js';
export type { BatchReport, EngineStats, ItemOptions, WorkerStats } from './pool.js';
export type { DeviceState } from './slot.js';
export type { ChatPrompt, FramePrompt, Prompt, PromptAnswer, Visual } from './queue.js';
