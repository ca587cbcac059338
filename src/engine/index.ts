/** The engine's face to recipes and server: start it, score with it, close it. */
export { createEngine, type Engine, type EngineOptions } from './engine.js';
export type { BatchReport, EngineStats, ItemOptions, WorkerStats } from './pool.js';
export type { PromptAnswer, Visual } from './queue.js';
