import { isS3 } from '../names.js';
import { createLocalStore } from './local.js';
import type { Store, StoreOptions, Stores } from './store.js';

/** Opens the stores of a run. Close them at the end. */
export function createStores(options: StoreOptions = {}): Stores {
  const local = createLocalStore(options.signal);
  let objects: Promise<{ readonly store: Store; close(): void }> | undefined;
  return {
    async of(name) {
      if (!isS3(name)) return local;
      objects ??= import('./objects.js').then(({ openObjects }) => openObjects(options));
      return (await objects).store;
    },
    async close() {
      await objects?.then(
        (opened) => opened.close(),
        () => undefined,
      );
    },
  };
}
