// A server that renders Markdown: on its own event loop, and in a pool. What else it has to do waits, or does not.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { Pool } from '../lib/index.ts';
import type * as Work from './http.worker.ts';
import { render } from './http.worker.ts';

const REQUESTS = 100;
const CLIENTS = 16;
const page = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

const pool = new Pool<typeof Work>(new URL('./http.worker.js', import.meta.url), { threads: 2 });
console.log(`http: ${REQUESTS} requests by ${CLIENTS} clients for a page of Markdown\n`);
console.log('                     right   requests/s   event loop lag, longest');
const here = await measured('event loop', async () => render(page));
const threads = await measured('pool of 2', () => pool.run(page, { name: 'render' }));
await pool.close();
const isRight = here.right === REQUESTS && threads.right === REQUESTS;
console.log(`\n  in the pool the event loop is held up ${(here.lag / threads.lag).toFixed(1)} times less`);
process.exitCode = isRight ? 0 : 1;

/** Serves the page by `answer` under load, and prints what came of it. */
async function measured(label: string, answer: () => Promise<string>): Promise<{ right: number; lag: number }> {
  const server = createServer(async (_, response) => {
    response.end(await answer());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = pool.spawn('load', url, REQUESTS, CLIENTS);
  await once(server, 'request'); // the client's thread has started
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const begin = performance.now();
  const { right } = await client.join();
  const seconds = (performance.now() - begin) / 1000;
  delay.disable();
  server.close();
  const lag = delay.max / 1e6;
  const cells = [
    `${right}`.padStart(5),
    (REQUESTS / seconds).toFixed(0).padStart(12),
    `${lag.toFixed(1)} ms`.padStart(17),
  ];
  console.log(`  ${label.padEnd(18)} ${cells.join(' ')}`);
  return { right, lag };
}

// Output:
// http: 100 requests by 16 clients for a page of Markdown
//
//                      right   requests/s   event loop lag, longest
//   event loop           100 …
//   pool of 2            100 …
//
//   in the pool the event loop is held up … times less
