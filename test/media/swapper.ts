import { symlinkSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

// as fast as it can, until it is told to end
const SWAPPER = `
  const { renameSync } = require('node:fs');
  const { parentPort, workerData: { at, aside, link } } = require('node:worker_threads');
  let on = true;
  parentPort.on('message', () => (on = false));
  const swap = () => {
    for (let i = 0; i < 200; i++) {
      renameSync(at, aside); renameSync(link, at);
      renameSync(at, link); renameSync(aside, at);
    }
    if (on) setImmediate(swap); else parentPort.close();
  };
  swap();
`;

/** A thread that swaps a folder and a link to another one in a loop. The folder is in its place at the end. */
export function startSwapper(folder: string, other: string): { end(): Promise<unknown> } {
  const [aside, link] = [`${folder}-aside`, `${folder}-link`];
  symlinkSync(other, link);
  const swapper = new Worker(SWAPPER, { eval: true, workerData: { at: folder, aside, link } });
  const ended = new Promise((resolve) => swapper.once('exit', resolve));
  return {
    end() {
      swapper.postMessage('end');
      return ended;
    },
  };
}
