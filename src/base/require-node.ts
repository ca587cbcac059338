// Imported before everything else: under Bun the native module of ZeroMQ ends the process when it is loaded.
import { unfitRuntime } from './runtime.js';

const unfit = unfitRuntime();
if (unfit !== undefined) throw new Error(`${unfit} The HTTP client, qalign/client, runs anywhere.`);
