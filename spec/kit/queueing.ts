import { setImmediate as turn } from 'node:timers/promises';
import { ClosedError, RingfenceError } from '../../lib/memory/errors.ts';
import type { Queue } from '../../lib/queue/queue.ts';
import { ENTERED, type Gate } from './tasks.ts';

// What the threads of queue.spec and payload.spec do.

export interface Traffic {
  readonly queues: readonly Queue<unknown>[];
  /** For each queue: puts that returned, gets that began, producers that finished, the most items ever seen. */
  readonly counts: Int32Array;
  /** The last of the threads are consumers. */
  readonly producers: number;
  readonly items: number;
  /** Bytes of each item when they are byte arrays, else they are numbers. */
  readonly bytes?: number;
}

export const PUTS = 0;
export const GETS = 1;
export const FINISHED = 2;
export const MOST = 3;
export const COUNTS = 4;

/** Item `i` of a producer: its number, or that number in front of and behind `bytes` filled with its low byte. */
export function itemOf(producer: number, i: number, bytes?: number): number | Uint8Array {
  const n = producer * 100_000 + i;
  if (bytes === undefined) return n;
  const item = new Uint8Array(bytes + 8).fill(n);
  for (const at of [0, bytes + 4]) new DataView(item.buffer).setInt32(at, n);
  return item;
}

/** The number of an item; -1 when its bytes are not those of one item. */
export function numberOf(item: unknown): number {
  if (!(item instanceof Uint8Array)) return Number(item);
  const view = new DataView(item.buffer, item.byteOffset);
  const n = view.getInt32(0);
  const whole = item.subarray(4, -4).every((byte) => byte === (n & 255)) && view.getInt32(item.length - 4) === n;
  return whole ? n : -1;
}

/** Puts or takes in every way that there is; a consumer gives for each queue the numbers that it got, in order. */
export async function trade(traffic: Traffic, index: number): Promise<number[][]> {
  const got: number[][] = [];
  for (const [at, queue] of traffic.queues.entries()) {
    const counts = traffic.counts.subarray(at * COUNTS, (at + 1) * COUNTS);
    if (index < traffic.producers) {
      await produce(queue, counts, traffic, index);
      if (Atomics.add(counts, FINISHED, 1) + 1 === traffic.producers) queue.close();
    } else got.push(await consume(queue, counts, index));
  }
  return got;
}

async function produce(queue: Queue, counts: Int32Array, { items, bytes }: Traffic, producer: number): Promise<void> {
  for (let i = 0; i < items; ) {
    const item = itemOf(producer, i, bytes);
    let put = 1;
    const way = (i + producer) % 5;
    if (way === 0) queue.put(item);
    else if (way === 1) while (!queue.tryPut(item)) await turn();
    else if (way === 2) await queue.putAsync(item);
    else if (way === 3) {
      const many = Array.from({ length: Math.min(7, items - i) }, (_, k) => itemOf(producer, i + k, bytes));
      queue.putMany(many);
      put = many.length;
    } else {
      put = Math.min(3, items - i);
      await Promise.all(Array.from({ length: put }, (_, k) => queue.putAsync(itemOf(producer, i + k, bytes))));
    }
    i += put;
    const puts = Atomics.add(counts, PUTS, put) + put;
    noteMost(counts, puts - Atomics.load(counts, GETS));
    noteMost(counts, queue.size);
  }
}

/** Announces a get before it begins, and takes the announcement back when nothing came. */
async function consume(queue: Queue, counts: Int32Array, consumer: number): Promise<number[]> {
  const got: number[] = [];
  try {
    for (let i = consumer; ; i++) {
      const way = i % 4;
      Atomics.add(counts, GETS, way === 3 ? 7 : 1);
      if (way === 0) got.push(numberOf(queue.get()));
      else if (way === 1) got.push(numberOf(await queue.getAsync()));
      else if (way === 2) {
        const item = queue.tryGet();
        if (item === undefined) Atomics.sub(counts, GETS, 1);
        else got.push(numberOf(item));
      } else {
        const items = queue.getMany(7);
        got.push(...items.map(numberOf));
        Atomics.sub(counts, GETS, 7 - items.length);
      }
    }
  } catch (error) {
    if (!(error instanceof ClosedError)) throw error;
    return got;
  }
}

function noteMost(counts: Int32Array, seen: number): void {
  for (let most = Atomics.load(counts, MOST); seen > most; ) {
    const before = Atomics.compareExchange(counts, MOST, most, seen);
    if (before === most) return;
    most = before;
  }
}

export interface Waiting {
  readonly queue: Queue<unknown>;
  readonly gate: Gate;
  readonly verb:
    | 'put'
    | 'get'
    | 'getMany'
    | 'putMany'
    | 'join'
    | 'iterate'
    | 'iterateAsync'
    | 'getAsync'
    | 'putAsync'
    | 'getPatiently'
    | 'putPatiently';
  readonly value?: unknown;
}

/** Enters, then waits; what came of it, or the code of the error. */
export async function waitOn({ queue, gate, verb, value }: Waiting): Promise<unknown> {
  Atomics.add(gate, ENTERED, 1);
  try {
    if (verb === 'put') queue.put(value);
    else if (verb === 'putPatiently') queue.puts.putPatiently(value);
    else if (verb === 'getPatiently') return queue.gets.getPatiently();
    else if (verb === 'putMany') queue.putMany(value as unknown[]);
    else if (verb === 'putAsync') await queue.putAsync(value);
    else if (verb === 'get') return queue.get();
    else if (verb === 'getMany') return queue.getMany(9);
    else if (verb === 'getAsync') return await queue.getAsync();
    else if (verb === 'join') queue.join();
    else if (verb === 'iterate') return [...queue];
    else return await collect(queue);
    return 'done';
  } catch (error) {
    if (error instanceof RingfenceError) return error.code;
    throw error;
  }
}

async function collect(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Gets and says that it is done, until the queue is closed. */
export function workOff({ queue }: { queue: Queue<number> }): number {
  let sum = 0;
  for (const item of queue) {
    sum += item;
    queue.taskDone();
  }
  return sum;
}

/** Takes an item every few milliseconds, so that a producer's wait never lasts long. */
export function sip({ queue, gate }: { queue: Queue<number>; gate: Gate }): number {
  Atomics.add(gate, ENTERED, 1);
  let got = 0;
  for (const _ of queue) {
    got++;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
  return got;
}

/** Three messages that do not fit together, by promises of one thread. */
export async function squeeze(queue: Queue<Uint8Array>): Promise<number[]> {
  const puts = [1, 2, 3].map((n) => queue.putAsync(new Uint8Array(150_000).fill(n)));
  const got: number[] = [];
  for (const _ of puts) {
    await turn();
    got.push((await queue.getAsync())[0] ?? 0);
  }
  await Promise.all(puts);
  return got;
}

/** Puts one item, however long that takes. */
export function putOne(queue: Queue): void {
  queue.put('put');
}
