import { MessageChannel } from 'node:worker_threads';
import { codec, Queue, Region } from '../lib/index.ts';
import { type Subject, serveFresh } from './fresh.ts';
import type { City } from './queues.jobs.ts';
import { numbers as ringbufNumbers } from './rivals/ringbuf.ts';
import { city } from './struct.jobs.ts';

// What a fresh process makes, and by how many KiB or bytes its resident memory rises meanwhile.

const KIB = 1024;
const MIB = 2 ** 20;
const SLOTS = 1024;
export const QUEUES = 200;
export const MESSAGES = 20_000;

/** `(module (func (export "f")))`: enough to start V8's WebAssembly engine, which costs memory once a process. */
const EMPTY_MODULE = Buffer.from('0061736d0100000001040160000003020100070501016600000a040102000b', 'hex');

function engine(): unknown {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(EMPTY_MODULE), {});
  (exports as { f(): void }).f();
  return exports;
}

/** What was made and is still alive at the second reading. */
const kept: unknown[] = [];

function resident(): number {
  for (let times = 0; times < 3; times++) globalThis.gc?.();
  return process.memoryUsage.rss();
}

/** By how many bytes the resident memory of this process rises while `make` makes something of what `before` left. */
const rise =
  <T>(unit: number, before: () => T | Promise<T>, make: (of: T) => unknown): Subject =>
  async () => {
    const made = await before();
    kept.push(made);
    const first = resident();
    kept.push(await make(made));
    return (resident() - first) / unit;
  };

const times = (n: number, make: (i: number) => unknown): unknown[] => Array.from({ length: n }, (_, i) => make(i));

const object = (id: number): City => ({
  id,
  name: 'Amsterdam',
  country: 'NL',
  latitude: 52.37403,
  longitude: 4.88969,
  capital: true,
});

/** A region whose kernel runs already. */
function region(bytes = 512 * MIB): Region {
  const made = new Region({ bytes });
  kept.push(new Queue({ capacity: 1, region: made }));
  return made;
}

const queues = (o: object): Subject =>
  rise(
    QUEUES * KIB,
    () => region(),
    (of) => times(QUEUES, () => new Queue({ capacity: SLOTS, region: of, ...o })),
  );

const messages = (o: object): Subject =>
  rise(
    MESSAGES,
    () => new Queue<City>({ capacity: MESSAGES, region: region(), ...o }),
    (queue) => times(MESSAGES, (i) => queue.put(object(i))).length,
  );

/** The thread of each pool, of which two run, after each has had tasks. */
const threads = (name: string): Subject =>
  rise(
    2 * KIB,
    () => import('./rivals/pools.ts').then(({ pools }) => pools[name]),
    async (open) => {
      const pool = await open?.('trivial');
      for (let round = 0; round < 10; round++) await Promise.all(times(16, () => pool?.run(round)));
      return pool;
    },
  );

await serveFresh(import.meta.url, {
  region: rise(KIB, engine, () => {
    const made = new Region({ bytes: 64 * MIB });
    return [made, new Queue({ capacity: SLOTS, region: made })];
  }),
  engine: rise(KIB, () => undefined, engine),
  nothing: rise(KIB, engine, () => undefined),
  filled: rise(KIB, engine, () => new Uint8Array(new SharedArrayBuffer(64 * MIB)).fill(1)),

  'queues of i32': queues({ codec: codec.i32 }),
  'queues of objects': queues({}),
  'queues of structs': queues({ codec: city }),
  channels: rise(QUEUES * KIB, engine, () => times(QUEUES, () => new MessageChannel())),
  ringbufs: rise(QUEUES * KIB, engine, () => times(QUEUES, () => ringbufNumbers(SLOTS))),

  'messages of the default codec': messages({}),
  'messages of structs': messages({ codec: city }),
  'posted messages': rise(
    MESSAGES,
    () => new MessageChannel(),
    ({ port1 }) => times(MESSAGES, (i) => port1.postMessage(object(i))).length,
  ),
  'objects in an array': rise(MESSAGES, engine, () => times(MESSAGES, object)),

  ...Object.fromEntries(
    ['ringfence Pool', 'piscina', 'tinypool', 'workerpool', 'poolifier', 'threads'].map((name) => [
      name,
      threads(name),
    ]),
  ),
});
