/** The engine's face to recipes and server: start it, score with it, close it. */
export {
  createEngine,
  type Engine,
  type EngineOptions,
  type BatchReport,
  type EngineStats,
  type ItemOptions,
  type WorkerStats,
} from './engine.js';
export type { Lane, PromptAnswer, Visual } from './queue.js';
