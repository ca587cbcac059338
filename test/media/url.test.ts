import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchMedia, isPublicAddress } from '../../src/media/url.js';

describe('addresses', () => {
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fc00::1',
    'ff02::1',
    '::ffff:10.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:db8::1',
    '168.63.129.16',
    '::ffff:168.63.129.16',
    '100.100.100.200',
    '192.0.0.192',
    '169.254.0.23',
    '192.80.8.124',
    '161.26.0.10',
    '166.9.1.1',
    '199.36.153.8',
    '192.31.196.1',
    '192.52.193.1',
    '192.88.99.1',
    '192.175.48.1',
    '198.19.0.1',
    '203.0.113.9',
    '240.0.0.1',
    '::8.8.8.8',
    '::ffff:0:8.8.8.8',
    '64:ff9b:1::1',
    '100::1',
    '100:0:0:1::1',
    '2001:1::1',
    '2001:20::1',
    '2620:4f:8000::1',
    '3fff::1',
    '5f00::1',
    'fd00:ec2::254',
    'fe80::1%eth0',
    'fec0::1',
    'not an address',
  ])('%s is not public', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
  it.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '168.63.129.17', '166.12.0.1', '199.36.153.16', '2606:4700::1111'])(
    '%s is public',
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );
});

describe('fetching', () => {
  let server: Server;
  let root = '';
  beforeAll(async () => {
    server = createServer((incoming, response) => {
      if (incoming.url === '/ok') response.end('picture');
      else if (incoming.url === '/away') response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end();
      else if (incoming.url === '/loop') response.writeHead(302, { location: '/loop' }).end();
      else if (incoming.url === '/file') response.writeHead(302, { location: 'file:///etc/passwd' }).end();
      else if (incoming.url === '/once') response.writeHead(301, { location: '/ok' }).end();
      else if (incoming.url === '/slow') setTimeout(() => response.end(), 3000).unref();
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const isAllowed = (address: string): boolean => address === '127.0.0.1';

  it('returns the bytes, also after redirects', async () => {
    expect(Buffer.from(await fetchMedia(`${root}/ok`, { isAllowed })).toString()).toBe('picture');
    expect(Buffer.from(await fetchMedia(`${root}/once`, { isAllowed })).toString()).toBe('picture');
  });

  it.each([
    ['/away', 'MEDIA_URL_FORBIDDEN'],
    ['/file', 'MEDIA_URL_FORBIDDEN'],
    ['/loop', 'MEDIA_URL_FAILED'],
    ['/nothing', 'MEDIA_URL_FAILED'],
  ])('%s is %s', async (path, code) => {
    await expect(fetchMedia(root + path, { isAllowed })).rejects.toMatchObject({ code });
  });

  it('never connects to loopback by default: by address, by name, in unusual spellings', async () => {
    const port = new URL(root).port;
    for (const host of ['127.0.0.1', 'localhost', '2130706433', '0x7f.1', '[::1]', '[::ffff:127.0.0.1]']) {
      await expect(fetchMedia(`http://${host}:${port}/ok`), host).rejects.toMatchObject({
        code: 'MEDIA_URL_FORBIDDEN',
      });
    }
  });

  it('limits bytes and time, and can be cancelled', async () => {
    await expect(fetchMedia(`${root}/ok`, { isAllowed, limits: { maxBytes: 3 } })).rejects.toMatchObject({
      code: 'MEDIA_TOO_LARGE',
    });
    await expect(fetchMedia(`${root}/slow`, { isAllowed, limits: { timeoutMs: 200 } })).rejects.toMatchObject({
      code: 'MEDIA_TIMEOUT',
    });
    await expect(fetchMedia(`${root}/slow`, { isAllowed, signal: AbortSignal.timeout(100) })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });

  it('refuses credentials and does not repeat them', async () => {
    const error = await fetchMedia('http://me:secret@example.com/x').catch((failure: Error) => failure);
    expect(error).toMatchObject({
      code: 'MEDIA_URL_FORBIDDEN',
      message: expect.not.stringContaining('secret') as string,
    });
  });
});
