import { getHeapStatistics } from 'node:v8';
import { attach, type Shared } from '../lib/memory/handles.ts';
import { codec } from '../lib/queue/codec.ts';
import type { Queue } from '../lib/queue/queue.ts';
import '../lib/queue/queue.ts';
import type { Struct, View } from '../lib/queue/struct.ts';
import type { Body } from './crew.ts';
import type { City } from './queues.jobs.ts';

// The two ends of each queue of `struct.bench.ts`: what one thread does in one round.

export const city: Struct<City> = codec.struct({
  id: 'u32',
  name: codec.string(16),
  country: codec.string(2),
  latitude: 'f64',
  longitude: 'f64',
  capital: 'bool',
});

/** Records that are taken at a time. */
const MANY = 256;

function write(view: View<{ -readonly [K in keyof City]: City[K] }>, id: number): void {
  view.id = id;
  view.name = 'Amsterdam';
  view.country = 'NL';
  view.latitude = 52.37403;
  view.longitude = 4.88969;
  view.capital = true;
}

function check({ id, latitude, capital }: City, expected: number): void {
  if (id !== expected || latitude !== 52.37403 || !capital) throw new Error(`record ${expected} came out as ${id}`);
}

export function produce(shared: Shared<Queue<City>>): Body {
  const queue = attach(shared);
  let id = 0;
  const fill = (view: View<City>) => write(view, id);
  return (n) => {
    for (id = 0; id < n; id++) queue.produce(fill);
  };
}

export function consume(shared: Shared<Queue<City>>): Body {
  const queue = attach(shared);
  let expected = 0;
  const use = (view: City) => check(view, expected);
  return (n) => {
    for (expected = 0; expected < n; expected++) queue.consume(use);
  };
}

export function produceMany(shared: Shared<Queue<City>>): Body {
  const queue = attach(shared);
  return (n) => queue.produceMany(n, write);
}

export function consumeMany(shared: Shared<Queue<City>>): Body {
  const queue = attach(shared);
  let expected = 0;
  const use = (view: City) => check(view, expected++);
  return (n) => {
    for (expected = 0; expected < n; ) queue.consumeMany(MANY, use);
  };
}

/** A queue, and where its two threads note by how many bytes their heaps grew in a round. */
export interface Weighed {
  readonly queue: Queue<City>;
  readonly growth: Float64Array;
}

function weighed(body: Body, growth: Float64Array, at: number): Body {
  return (n) => {
    const before = getHeapStatistics().used_heap_size;
    body(n);
    growth[at] = getHeapStatistics().used_heap_size - before;
  };
}

export function produceWeighed(shared: Shared<Weighed>): Body {
  const { queue, growth } = attach(shared);
  return weighed(produceMany(queue as never), growth, 0);
}

export function consumeWeighed(shared: Shared<Weighed>): Body {
  const { queue, growth } = attach(shared);
  return weighed(consumeMany(queue as never), growth, 1);
}

export function putBytes(shared: Shared<Queue<Uint8Array>>): Body {
  const queue = attach(shared);
  const message = new Uint8Array(65_536).fill(7);
  return (n) => {
    for (let i = 0; i < n; i++) queue.put(message);
  };
}

export function getBytes(shared: Shared<Queue<Uint8Array>>): Body {
  const queue = attach(shared);
  return (n) => {
    for (let i = 0; i < n; i++) if (queue.get()[65_535] !== 7) throw new Error(`message ${i} is not whole`);
  };
}

/** Into as many places as the queue has blocks, so that the same caches hold them. */
export function copyBytes(): Body {
  const [from, to] = [new Uint8Array(65_536).fill(7), new Uint8Array(32 * 65_536)];
  return (n) => {
    for (let i = 0; i < n; i++) to.set(from, (i % 32) * 65_536);
  };
}
