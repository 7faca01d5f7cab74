// Functions that the specs of pipelines run in its threads.
import { setImmediate as turn } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import type { Queue } from '../../lib/queue/queue.ts';
import type { Latch } from '../../lib/sync/latch.ts';

export const double = (n: number): number => 2 * n;
export const isOdd = (n: number): boolean => n % 2 === 1;
export const twice = (n: number): number[] => [n, n];
export const same = <T>(value: T): T => value;
export const add = (sum: number, n: number): number => sum + n;
export const threadOf = (): number => threadId;
export const letters = (): string => 'abc';
export const nothing = (): void => {};
export const unsendable = (): unknown => () => {};
export const forever = (): never => {
  for (;;);
};
export const leave = (n: number): number => (n === 3 ? process.exit(7) : n);

export async function* upTo(n: number): AsyncGenerator<number> {
  for (let i = 0; i < n; i++) yield i;
}

export async function doubleLater(n: number): Promise<number> {
  await turn();
  return 2 * n;
}

export async function isOddLater(n: number): Promise<boolean> {
  await turn();
  return n % 2 === 1;
}

/** The first records take longest, so that a thread has later ones ready before. */
export function uneven(n: number): number {
  const end = performance.now() + (n % 7 === 0 ? 3 : 0.05);
  while (performance.now() < end);
  return n;
}

export async function unevenLater(n: number): Promise<number> {
  for (let turns = n % 5; turns > 0; turns--) await turn();
  return n;
}

export function refuseThree(n: number): number {
  if (n === 3) throw new RangeError('three');
  return n;
}

export async function refuseThreeLater(n: number): Promise<number> {
  await turn();
  return refuseThree(n);
}

export function refuseEach(n: number): number {
  throw Object.assign(new Error(`no ${n}`), { code: 'ENO' });
}

const failed = new Set<number>();

/** Each record fails the first time. */
export function refuseOnce(n: number): number[] {
  if (failed.has(n)) return [n];
  failed.add(n);
  throw new Error('once');
}

/** Gives a record before it fails the first time. */
export function* giveAndRefuseOnce(n: number): Generator<number> {
  yield n;
  if (failed.has(n)) return;
  failed.add(n);
  throw new Error('once');
}

export function* upToThenFail(n: number): Generator<number> {
  for (let i = 0; i < n; i++) yield i;
  throw new Error('the well is dry');
}

/** A source that says when it was closed. */
export function* endless(closed: Latch): Generator<number> {
  try {
    for (let i = 0; ; i++) yield i;
  } finally {
    closed.countDown();
  }
}

export function* many(n: number): Generator<number> {
  for (let i = 0; i < n; i++) yield i;
}

export function sumOf(records: Iterable<number>): number {
  let sum = 0;
  for (const n of records) sum += n;
  return sum;
}

export async function sumOfLater(records: AsyncIterable<number>): Promise<number> {
  let sum = 0;
  for await (const n of records) sum += n;
  return sum;
}

export function firstThree(records: Iterable<number>): number[] {
  const first: number[] = [];
  for (const n of records) if (first.push(n) === 3) break;
  return first;
}

export function failAtThree(records: Iterable<number>): void {
  for (const n of records) if (n === 3) throw new Error('enough');
}

/** Says that it has the record, and waits until it may go on. */
export async function pass(record: { n: number; came: Queue<number>; go: Queue<number> }): Promise<number> {
  await record.came.putAsync(record.n);
  await record.go.getAsync();
  return record.n;
}
