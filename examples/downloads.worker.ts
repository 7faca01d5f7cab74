// One of the threads that download. The semaphore is the same for all of them.
import { createHash } from 'node:crypto';
import type { Queue, Semaphore } from '../lib/index.ts';

/** Downloads what the queue names until it is closed, four at a time if the semaphore lets it; the digest of each file. */
export async function download(urls: Queue<string>, slots: Semaphore | null): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  const loop = async () => {
    for await (const url of urls) {
      await slots?.acquireAsync();
      try {
        const body = new Uint8Array(await (await fetch(url)).arrayBuffer());
        digests[new URL(url).pathname] = createHash('sha256').update(body).digest('hex');
      } finally {
        slots?.release();
      }
    }
  };
  await Promise.all(Array.from({ length: 4 }, loop));
  return digests;
}
