import { setImmediate as turn } from 'node:timers/promises';
import { ClosedError } from '../../lib/memory/errors.ts';
import { codec } from '../../lib/queue/codec.ts';
import type { Queue } from '../../lib/queue/queue.ts';
import type { Struct } from '../../lib/queue/struct.ts';
import { ENTERED, type Gate } from './tasks.ts';

// What the threads of records.spec do.

export interface Order {
  producer: number;
  n: number;
  twice: number;
  name: string;
}

export const order: Struct<Order> = codec.struct({ producer: 'u8', n: 'u32', twice: 'f64', name: codec.string(12) });

export const orderOf = (producer: number, n: number): Order => ({ producer, n, twice: 2 * n, name: `no ${n}` });

export interface Traffic {
  readonly queues: readonly Queue<Order>[];
  readonly producers: number;
  readonly items: number;
  readonly finished: Int32Array;
}

/** Puts or takes in every way that there is; a consumer gives for each queue what it got, in order: [producer, n]. */
export async function trade(traffic: Traffic, index: number): Promise<[number, number][][]> {
  const all: [number, number][][] = [];
  for (const [at, queue] of traffic.queues.entries()) {
    if (index < traffic.producers) {
      await produce(queue, index, traffic.items);
      if (Atomics.add(traffic.finished, at, 1) + 1 === traffic.producers) queue.close();
    } else all.push(await consume(queue, index));
  }
  return all;
}

async function produce(queue: Queue<Order>, producer: number, items: number): Promise<void> {
  for (let n = 0; n < items; ) {
    const write = (view: Order, index = 0): void => {
      Object.assign(view, orderOf(producer, n + index));
    };
    const many = Math.min(1 + (n % 9), items - n);
    const way = (n + producer) % 7;
    if (way === 0) queue.put(orderOf(producer, n));
    else if (way === 1) queue.produce(write);
    else if (way === 2) while (!queue.tryProduce(write)) await turn();
    else if (way === 3) await queue.produceAsync(write);
    else if (way === 4) queue.produceMany(many, write);
    else if (way === 5) queue.putMany(Array.from({ length: many }, (_, i) => orderOf(producer, n + i)));
    else await Promise.all(Array.from({ length: many }, (_, i) => queue.putAsync(orderOf(producer, n + i))));
    n += way > 3 ? many : 1;
  }
}

async function consume(queue: Queue<Order>, consumer: number): Promise<[number, number][]> {
  const got: [number, number][] = [];
  const use = (view: Order): void => {
    const whole = view.twice === 2 * view.n && view.name === `no ${view.n}`;
    got.push([view.producer, whole ? view.n : -1]);
  };
  try {
    for (let i = consumer; ; i++) {
      const way = i % 6;
      if (way === 0) use(queue.get());
      else if (way === 1) queue.consume(use);
      else if (way === 2) queue.tryConsume(use);
      else if (way === 3) await queue.consumeAsync(use);
      else if (way === 4) queue.consumeMany(5, use);
      else queue.getMany(5).forEach(use);
    }
  } catch (error) {
    if (!(error instanceof ClosedError)) throw error;
    return got;
  }
}

/** What a thread knows of a codec that it did not make. */
export function useOf({ queue, gate }: { queue: Queue<Order>; gate: Gate }): Order {
  Atomics.add(gate, ENTERED, 1);
  return queue.get();
}

/** Produces and takes until it is terminated. */
export function rage({ queue, gate }: { queue: Queue<Order>; gate: Gate }, index: number): never {
  Atomics.add(gate, ENTERED, 1);
  for (let n = 0; ; n++) {
    const record = orderOf(index, n);
    if (n % 3 === 0) queue.tryPut(record);
    else if (n % 3 === 1) queue.tryConsume(() => {});
    else {
      try {
        queue.produceMany(3, (view) => Object.assign(view, record), { timeout: 0 });
      } catch {}
    }
  }
}
