import type { ServeConfig } from '../../config/serve.js';
import type { Db } from '../../base/files/sqlite.js';
import type { Logger } from '../../base/logger.js';
import { createDestinations } from './destination.js';
import { createWebhookSender, type DeliveryOutcome } from './sender.js';
import { signerOf } from './signature.js';
import { createDeliveryStore } from './store.js';

/** An event as its receiver gets it: a body of Standard Webhooks. */
export interface Message {
  readonly id: string;
  readonly url: string;
  readonly body: { readonly type: string; readonly timestamp: string; readonly data: object };
}

/** The webhook functions for other parts of the service. */
export interface Webhooks {
  /** @throws QalignError WEBHOOK_FORBIDDEN for a URL that is not allowed */
  check(url: string): void;
  /** Runs `save` and stores a message, both or neither. */
  keep(message: Message, save: () => void): void;
  /** Sends stored messages. */
  send(): void;
  /** Undelivered messages. */
  waiting(): number;
  close(): Promise<void>;
}

/** @throws QalignError CONFIG_INVALID for hosts without a secret */
export function createWebhooks({
  config: { webhooks: rules },
  database,
  log,
  isAllowedAddress,
  count,
}: {
  readonly config: Pick<ServeConfig, 'webhooks'>;
  readonly database: Db;
  readonly log: Logger;
  readonly isAllowedAddress?: ((address: string) => boolean) | undefined;
  readonly count: (outcome: DeliveryOutcome) => void;
}): Webhooks {
  const destinations = createDestinations(rules, isAllowedAddress);
  const store = createDeliveryStore(database);
  const sender =
    rules.hosts.length === 0
      ? undefined // Stored messages wait until hosts are configured again.
      : createWebhookSender({ store, destinations, sign: signerOf(rules.secret), log, count });
  return {
    check: (url) => void destinations.check(url),
    keep: ({ id, url, body }, save) =>
      store.together(() => {
        save();
        store.put({ id, url, body: JSON.stringify(body) }, Date.now() / 1000);
      }),
    send: () => sender?.wake(),
    waiting: () => store.count(),
    close: async () => sender?.close(),
  };
}
