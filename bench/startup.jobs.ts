import { MessageChannel } from 'node:worker_threads';
import { type Subject, serveFresh } from './fresh.ts';

// What a fresh process does for the first time, and how many milliseconds it took.

const timed =
  <T>(before: () => T | Promise<T>, make: (of: T) => unknown): Subject =>
  async () => {
    const given = await before();
    const start = performance.now();
    await make(given);
    return performance.now() - start;
  };

const nothing = (): void => {};
const library = () => import('../lib/index.ts');

/** The library, and a region whose kernel is compiled. */
async function ready() {
  const loaded = await library();
  return { ...loaded, region: new loaded.Region({ bytes: 64 * 2 ** 20 }) };
}

/** Packages by the names that one imports them by. */
export const PACKAGES: readonly string[] = [
  'piscina',
  'tinypool',
  'workerpool',
  'poolifier',
  'threads',
  'multithreading',
  'ringbuf.js',
];

await serveFresh(import.meta.url, {
  ringfence: timed(nothing, library),
  ...Object.fromEntries(PACKAGES.map((name) => [name, timed(nothing, () => import(name))])),

  region: timed(library, ({ Region }) => new Region({ bytes: 64 * 2 ** 20 })),
  'another region': timed(ready, ({ Region }) => new Region({ bytes: 64 * 2 ** 20 })),
  queue: timed(ready, ({ Queue, region }) => new Queue({ capacity: 1024, region })),
  mutex: timed(ready, ({ Mutex, region }) => new Mutex({ region })),
  channel: timed(nothing, () => new MessageChannel()),
});
