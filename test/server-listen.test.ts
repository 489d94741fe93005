/** The port and what stands before every route: time, size, names, origins, headers. */
import { connect } from 'node:net';
import { Hono } from 'hono';
import { afterEach, expect, it } from 'vitest';
import { guard } from '../src/server/guard.ts';
import { type Listening, type ListenOptions, listen } from '../src/server/listen.ts';

let open: Listening[] = [];
afterEach(async () => {
  await Promise.all(open.map((one) => one.close(0)));
  open = [];
});

async function serve(options: Partial<ListenOptions> = {}): Promise<Listening> {
  const app = new Hono();
  app.use(guard());
  app.onError((error, c) => c.text(error.message, 500));
  app.get('/here', (c) => c.json({ ok: true }));
  app.post('/echo', async (c) => c.json({ bytes: (await c.req.text()).length }));
  app.delete('/here', (c) => c.json({ ok: true }));
  app.get('/throws', () => {
    throw new Error('a defect');
  });
  const one = await listen({ port: 0, ...options }, () => (request) => app.fetch(request));
  open.push(one);
  return one;
}

/** All that the server says to bytes on a bare connection, until it closes. */
function talk(port: number, bytes: string | readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(said));
    for (const part of [bytes].flat()) socket.write(part);
  });
}

it('answers on loopback with headers that let nothing else in', async () => {
  const { url, host, port } = await serve();
  expect([host, url]).toEqual(['127.0.0.1', `http://127.0.0.1:${port}`]);
  for (const path of ['/here', '/none', '/throws']) {
    const { headers } = await fetch(url + path);
    expect(headers.get('content-security-policy')).toContain("script-src 'self';");
    expect(headers.get('content-security-policy')).not.toContain('unsafe');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
    expect(headers.get('cache-control')).toBe('no-store');
    expect([...headers.keys()].filter((name) => /^access-control/.test(name))).toEqual([]);
  }
});

it('says in one sentence that a port is taken or a host is not ours', async () => {
  const { port } = await serve();
  await expect(serve({ port })).rejects.toThrow(`port ${port}: in use by another program`);
  await expect(serve({ host: '203.0.113.9' })).rejects.toThrow('is no address of this machine');
});

it.each(['content-length', 'chunked'])('refuses 11 MB sent by %s', async (how) => {
  const { url } = await serve();
  const bytes = new Uint8Array(11 * 2 ** 20).fill(97);
  const piece = new Uint8Array(2 ** 20).fill(97);
  let left = 11;
  const body =
    how === 'content-length'
      ? bytes
      : new ReadableStream({
          pull: (controller) => (left-- > 0 ? controller.enqueue(piece) : controller.close()),
        });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}/echo`, { method: 'POST', body, headers, duplex: 'half' } as RequestInit); // biome-ignore format: one call
  expect(response.status).toBe(413);
  expect(await response.json()).toMatchObject({ message: expect.stringContaining('10 MB') });
  expect((await fetch(`${url}/here`)).status).toBe(200);
});

it('takes what is just small enough', async () => {
  const { url } = await serve();
  const text = 'a'.repeat(10 * 2 ** 20);
  const headers = { 'content-type': 'application/json' };
  for (const body of [text, new Blob([text]).stream()]) {
    const init = { method: 'POST', body, headers, duplex: 'half' } as RequestInit;
    expect(await (await fetch(`${url}/echo`, init)).json()).toEqual({ bytes: text.length });
  }
});

it.each([
  ['nothing', ''],
  ['half a line', 'GET /he'],
  ['half the headers', 'GET /here HTTP/1.1\r\nHost: '],
  [
    'half a body',
    'POST /echo HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
  ],
])('closes a client that sends %s and then is silent', async (_, bytes) => {
  const { port } = await serve({ requestMs: 200 });
  const said = await talk(port, bytes.replace('PORT', String(port)));
  if (said !== '') expect(said).toMatch(/^HTTP\/1\.1 408 /);
});

it('serves others while clients are slow', async () => {
  const { port, url } = await serve({ requestMs: 2000 });
  const slow = Array.from({ length: 200 }, () => talk(port, 'GET /here HTTP/1.1\r\nHo'));
  expect((await fetch(`${url}/here`)).status).toBe(200);
  for (const said of await Promise.all(slow)) expect(said).toMatch(/^(HTTP\/1\.1 408 .*)?/);
});

it('closes with requests in hand', async () => {
  const { port, close } = await serve();
  const silent = talk(port, '');
  await new Promise((resolve) => setTimeout(resolve, 20));
  await close(10);
  expect(await silent).toBe('');
});

it.each([
  'GET http://127.0.0.1:PORT/here HTTP/1.1\r\nHost: 127.0.0.1:PORT',
  'GET http://evil.test/here HTTP/1.1\r\nHost: 127.0.0.1:PORT',
  'GET /here HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nHost: evil.test',
  'GET /here HTTP/1.1\r\nHost: evil.test\r\nHost: 127.0.0.1:PORT',
  'GET /here HTTP/1.1\r\nHost:',
  'GET /here HTTP/1.0',
])('refuses %j', async (head) => {
  const { port } = await serve();
  const said = await talk(port, `${head.replaceAll('PORT', String(port))}\r\n\r\n`);
  expect(said).toMatch(/^HTTP\/1\.1 4(21|00) /);
  expect(said).not.toContain('"ok":true');
});

it('takes JSON alone, and no other methods', async () => {
  const { url } = await serve();
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx']) {
    const headers = { 'content-type': type };
    const { status } = await fetch(`${url}/echo`, { method: 'POST', body: '{}', headers });
    expect(status).toBe(415);
  }
  expect((await fetch(`${url}/here`, { method: 'DELETE' })).status).toBe(200);
  for (const method of ['PUT', 'PATCH', 'OPTIONS']) {
    expect((await fetch(`${url}/echo`, { method })).status).toBe(405);
  }
});
