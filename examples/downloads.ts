// A polite downloader: two threads, many downloads, and a Semaphore so that never more than three run at a time in all of them.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { Pool, Queue, Semaphore } from '../lib/index.ts';
import type * as Downloads from './downloads.worker.ts';

const FILES = 24;
const THREADS = 2;
const AT_ONCE = 3;

const files = new Map(Array.from({ length: FILES }, (_, n) => [`/${n}.bin`, randomBytes(10_000 + n)]));
let running = 0;
let most = 0;

/** A server on this machine that takes 30 ms for each file, and counts how many it serves at a time. */
const server = createServer((request, response) => {
  most = Math.max(most, ++running);
  setTimeout(() => {
    running--; // before the answer: whoever has it may ask for the next at once
    response.end(files.get(request.url ?? ''));
  }, 30);
}).listen(0, '127.0.0.1');
await once(server, 'listening');

const pool = new Pool<typeof Downloads>(new URL('./downloads.worker.js', import.meta.url), { threads: THREADS });
try {
  console.log(`downloads: ${FILES} files, ${THREADS} threads with 4 loops each\n`);
  const unlimited = await downloadAll('no limit', null);
  const limited = await downloadAll(`Semaphore of ${AT_ONCE}`, new Semaphore({ permits: AT_ONCE, name: 'slots' }));
  process.exitCode = unlimited.right && limited.right && unlimited.most > AT_ONCE && limited.most <= AT_ONCE ? 0 : 1;
} finally {
  await pool.close();
  server.close();
  server.closeAllConnections();
}

async function downloadAll(how: string, slots: Semaphore | null): Promise<{ right: boolean; most: number }> {
  most = 0;
  const urls = new Queue<string>({ capacity: FILES });
  const { port } = server.address() as AddressInfo;
  urls.putMany([...files.keys()].map((path) => `http://127.0.0.1:${port}${path}`));
  urls.close();
  const threads = Array.from({ length: THREADS }, () => pool.spawn('download', urls, slots));
  const digests = Object.assign({}, ...(await Promise.all(threads.map((thread) => thread.join()))));
  const whole = [...files].filter(([path, body]) => digests[path] === createHash('sha256').update(body).digest('hex'));
  console.log(`  ${how.padEnd(14)}  ${whole.length} of ${FILES} whole, at most ${most} at a time`);
  return { right: whole.length === FILES, most };
}

// Output:
// downloads: 24 files, 2 threads with 4 loops each
//
//   no limit        24 of 24 whole, at most … at a time
//   Semaphore of 3  24 of 24 whole, at most … at a time
