// Must be imported first: under Bun, loading the native module of ZeroMQ ends the process.
import { unfitRuntime } from './runtime.js';

const unfit = unfitRuntime();
if (unfit !== undefined) throw new Error(`${unfit} The HTTP client, qalign/client, runs on any runtime.`);
