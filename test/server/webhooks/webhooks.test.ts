import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { problemWith } from '../../../bridge/validate.js';
import { JobMessage } from '../../../src/api/jobs.js';
import { createLogger } from '../../../src/base/logger.js';
import { openDatabase, type Db } from '../../../src/base/files/sqlite.js';
import { EXAMPLE_PICTURE } from '../../../src/media/probe-picture.js';
import { createDestinations } from '../../../src/server/webhooks/destination.js';
import { createWebhookSender } from '../../../src/server/webhooks/sender.js';
import { signerOf } from '../../../src/server/webhooks/signature.js';
import { createDeliveryStore } from '../../../src/server/webhooks/store.js';
import { startService, withoutPython } from '../start-service.js';
import { startReceiver, type Received } from './receiver.js';

const KEY = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
const SECRET = `whsec_${KEY.toString('base64')}`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-webhooks-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the signature', () => {
  it('follows Standard Webhooks', () => {
    // the example of the specification
    expect(signerOf(SECRET)('msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, '{"test": 2432232314}')).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    );
  });

  it('has one part for each secret, so that a secret can be replaced', () => {
    const other = Buffer.alloc(32, 7);
    const sign = signerOf(` ${SECRET}\n whsec_${other.toString('base64')} `);
    const expected = [KEY, other].map((key) => `v1,${createHmac('sha256', key).update('msg_1.5.{}').digest('base64')}`);
    expect(sign('msg_1', 5, '{}').split(' ')).toEqual(expected);
    expect(() => signerOf(`${SECRET} whsec_short`)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  it.each([null, '', 'secret', 'whsec_', 'whsec_c2hvcnQ=', `whsec_${'QUJD'.repeat(40)}`])(
    'refuses the secret %j without showing it',
    (secret) => {
      let message = '';
      try {
        signerOf(secret);
      } catch (error) {
        message = String(error);
      }
      expect(message).toContain('webhooks.secret must be whsec_');
      if (secret !== null && secret.length > 8) expect(message).not.toContain(secret);
    },
  );
});

describe('allowed destinations of webhooks', () => {
  const strict = createDestinations({
    hosts: ['Hooks.example.org', 'b.example:8443', '10.0.0.1'],
    allow_loopback: false,
  });
  const local = createDestinations({ hosts: ['127.0.0.1:9', 'localhost', '10.0.0.1'], allow_loopback: true });

  it.each(['https://hooks.example.org/a?b=c', 'https://HOOKS.example.org:443/', 'https://b.example:8443/x'])(
    'include %s',
    (url) => expect(strict.check(url).href).toContain('example'),
  );

  it.each([
    'http://hooks.example.org/',
    'https://hooks.example.org:444/',
    'https://hooks.example.org.evil.example/',
    'https://evil.example/hooks.example.org',
    'https://hooks.example.org@evil.example/',
    'https://me:word@hooks.example.org/',
    'https://b.example/',
    'https://10.0.0.1/',
    'https://127.0.0.1/',
    'ftp://hooks.example.org/',
    'file:///etc/passwd',
    'no url at all',
  ])('exclude %s', (url) => {
    expect(() => strict.check(url)).toThrow(expect.objectContaining({ code: 'WEBHOOK_FORBIDDEN' }));
  });

  it('include this machine, also over http, only if the configuration allows it', () => {
    expect(local.check('http://127.0.0.1:9/x').port).toBe('9');
    expect(local.check('https://localhost/').hostname).toBe('localhost');
    for (const url of ['http://127.0.0.1:10/', 'https://10.0.0.1/', 'http://10.0.0.1/'])
      expect(() => local.check(url)).toThrow(expect.objectContaining({ code: 'WEBHOOK_FORBIDDEN' }));
    expect(local.isAllowedAddress('169.254.169.254')).toBe(false);
    expect(strict.isAllowedAddress('127.0.0.1')).toBe(false);
  });
});

describe('sending', () => {
  let database: Db;
  beforeEach(() => {
    database = openDatabase(join(folder, 'service.db'), '');
  });
  afterEach(() => database.close());

  const sender = (host: string, backOffS: readonly number[]) => {
    const outcomes: string[] = [];
    const lines: string[] = [];
    const store = createDeliveryStore(database);
    const made = createWebhookSender({
      store,
      destinations: createDestinations({ hosts: [host], allow_loopback: true }),
      sign: signerOf(SECRET),
      log: createLogger((_, message, fields) => void lines.push(JSON.stringify({ message, ...fields }))),
      count: (outcome) => void outcomes.push(outcome),
      backOffS,
    });
    return { ...made, store, outcomes, lines };
  };
  const put = (store: ReturnType<typeof createDeliveryStore>, host: string, path = '/hook?token=t0ken'): void =>
    store.put({ id: 'msg_1', url: `http://${host}${path}`, body: '{"a":"ä"}' }, Date.now() / 1000);

  it('signs each attempt again with the same id, and retries until a 2xx response; redirects count as failures', async () => {
    const receiver = await startReceiver([500, 302, 204]);
    const { store, outcomes, lines, wake, close } = sender(receiver.host, [0.01, 0.01, 0.01]);
    put(store, receiver.host);
    wake();
    await vi.waitFor(() => expect(outcomes).toEqual(['retried', 'retried', 'delivered']));
    for (const { headers, body } of receiver.received) {
      expect(headers['webhook-id']).toBe('msg_1');
      expect(verified({ headers, body })).toBe(true);
    }
    expect(store.count()).toBe(0);
    put(store, receiver.host); // saving a state again creates no second message
    expect(store.count()).toBe(0);
    expect(lines.join('\n')).not.toMatch(/t0ken|whsec_/);
    expect(lines[0]).toContain('"status":500');
    await close();
    await receiver.close();
  });

  it('stops after the last attempt, and at once if the receiver wants no more', async () => {
    const receiver = await startReceiver([500, 500, 410]);
    const { store, outcomes, wake, close } = sender(receiver.host, [0.01]);
    put(store, receiver.host);
    wake();
    await vi.waitFor(() => expect(outcomes).toEqual(['retried', 'failed']));
    store.put({ id: 'msg_2', url: `http://${receiver.host}/`, body: '{}' }, 0);
    wake();
    await vi.waitFor(() => expect(outcomes).toEqual(['retried', 'failed', 'failed']));
    await close();
    await receiver.close();
  });

  it('keeps undelivered messages of an ending service for the next one', async () => {
    const receiver = await startReceiver(['never', 204]);
    const first = sender(receiver.host, [0.01]);
    put(first.store, receiver.host);
    first.wake();
    await vi.waitFor(() => expect(receiver.received).toHaveLength(1));
    await first.close();
    expect([first.outcomes, first.store.count()]).toEqual([[], 1]);
    const second = sender(receiver.host, [0.01]);
    second.wake();
    await vi.waitFor(() => expect(second.outcomes).toEqual(['delivered']));
    await second.close();
    await receiver.close();
  });

  it('sends nothing to a host that is not allowed any more', async () => {
    const receiver = await startReceiver();
    const { store, outcomes, wake, close } = sender('127.0.0.1:1', [60]);
    put(store, receiver.host);
    wake();
    await vi.waitFor(() => expect(outcomes).toEqual(['retried']));
    expect(receiver.received).toEqual([]);
    await close();
    await receiver.close();
  });

  it('does not wait longer when the clock was set back', async () => {
    const receiver = await startReceiver();
    const { store, outcomes, wake, close } = sender(receiver.host, []);
    store.put({ id: 'msg_3', url: `http://${receiver.host}/`, body: '{}' }, Date.now() / 1000 + 86_400 * 365);
    wake();
    await vi.waitFor(() => expect(outcomes).toEqual(['delivered']));
    await close();
    await receiver.close();
  });
});

describe('a job with a webhook', () => {
  const service = (host: string, dataDir?: string) =>
    startService([`webhooks.hosts=["${host}"]`, `webhooks.secret=${SECRET}`, 'webhooks.allow_loopback=true'], {
      ...withoutPython,
      ...(dataDir === undefined ? {} : { dataDir }),
    });

  it('reports its end with the same content as GET', async () => {
    const receiver = await startReceiver();
    const running = await service(receiver.host);
    const webhook = `http://${receiver.host}/ended?token=t0ken`;
    const made = await running.client.jobs.create([{ id: 'a', base64: EXAMPLE_PICTURE }], { webhook });
    const list = await running.client.jobs.create(`{"base64":"${EXAMPLE_PICTURE}"}\n`, { webhook });
    await vi.waitFor(() => expect(receiver.received).toHaveLength(2), 10_000);
    for (const { id } of [made, list]) {
      const { headers, body } = receiver.received.find((one) => one.body.includes(id)) as Received;
      expect(verified({ headers, body })).toBe(true);
      const message = JSON.parse(body) as JobMessage;
      expect(problemWith(JobMessage, message)).toBeUndefined();
      expect(message).toMatchObject({ type: 'job.completed', data: await running.client.jobs.get(id) });
      expect(headers['webhook-id']).toBe(id.replace('job_', 'msg_'));
    }
    await vi.waitFor(async () =>
      expect(await running.services.metrics.registry.metrics()).toContain(
        'qalign_webhooks_total{outcome="delivered"} 2',
      ),
    );
    expect(JSON.stringify(running.logged)).not.toMatch(/t0ken|whsec_/);
    await running.close();
    await receiver.close();
  });

  it('sends its message after a restart, if the receiver was unavailable and the job is deleted meanwhile', async () => {
    const receiver = await startReceiver(['never', 204]);
    const first = await service(receiver.host, folder);
    const webhook = `http://${receiver.host}/`;
    const { id } = await first.client.jobs.create([{ base64: EXAMPLE_PICTURE }], { webhook });
    await vi.waitFor(() => expect(receiver.received).toHaveLength(1), 10_000);
    await first.client.jobs.delete(id);
    await first.close();
    const second = await service(receiver.host, folder);
    await vi.waitFor(() => expect(receiver.received).toHaveLength(2), 10_000);
    expect(receiver.received.map(({ body }) => (JSON.parse(body) as JobMessage).data.id)).toEqual([id, id]);
    await second.close();
    await receiver.close();
  });

  it('is refused before it is created if its host is not allowed', async () => {
    const running = await service('hooks.example.org');
    const refused = running.client.jobs.create([{ base64: EXAMPLE_PICTURE }], { webhook: 'https://other.example/' });
    await expect(refused).rejects.toMatchObject({ status: 403, code: 'WEBHOOK_FORBIDDEN' });
    expect((await running.client.jobs.list()).jobs).toEqual([]);
    await running.close();
  });

  it('requires a secret', async () => {
    await expect(startService(['webhooks.hosts=[a.example]'], withoutPython)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});

function verified({ headers, body }: Received): boolean {
  const text = `${headers['webhook-id'] as string}.${headers['webhook-timestamp'] as string}.${body}`;
  return headers['webhook-signature'] === `v1,${createHmac('sha256', KEY).update(text).digest('base64')}`;
}
