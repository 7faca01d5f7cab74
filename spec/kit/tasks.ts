import { setImmediate as turn } from 'node:timers/promises';
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { move } from 'piscina';
import { taskSignal } from '../../lib/pool/signal.ts';
import type { Queue } from '../../lib/queue/queue.ts';
import { Mutex } from '../../lib/sync/mutex.ts';

// The worker module of the pool specs: an ordinary module.

/** Two words by which a spec and a task meet: how many tasks have entered, and whether they may leave. */
export type Gate = Int32Array;
export const ENTERED = 0;
export const OPEN = 1;

export function newGate(): Gate {
  return new Int32Array(new SharedArrayBuffer(8));
}

export default function echo(payload: unknown): unknown {
  return payload;
}

export function square(n: number): number {
  return n * n;
}

export async function squareLater(n: number): Promise<number> {
  await turn();
  return n * n;
}

export function failOnThird(n: number): number {
  if (n % 3 === 2) throw new RangeError(`third: ${n}`);
  return n;
}

export function dieAt1000(n: number): number {
  if (n === 1000) process.exit(3);
  return n;
}

/** Gives each item back, in a way that depends on it. */
export function each(item: unknown): unknown {
  const { unclonable: bad, moves } = Object(item);
  if (bad) return { item: () => {} };
  return moves ? move(moves) : { item };
}

export async function eachLater(item: unknown): Promise<unknown> {
  await turn();
  return each(item);
}

export function thread(): number {
  return threadId;
}

export function data(): unknown {
  return workerData;
}

/** Enters, and leaves when the gate is open. */
export async function hold(gate: Gate): Promise<number> {
  Atomics.add(gate, ENTERED, 1);
  while (Atomics.load(gate, OPEN) === 0) await turn();
  return threadId;
}

/** Waits for its signal, and says why it was aborted. */
export async function untilAborted(gate: Gate): Promise<void> {
  const signal = taskSignal();
  Atomics.add(gate, ENTERED, 1);
  while (!signal.aborted) await turn();
  if (signal.reason.message === 'enough') Atomics.store(gate, OPEN, 2);
}

/** As that, and never yields to its event loop. */
export function spinUntilAborted(gate: Gate): void {
  const signal = taskSignal();
  Atomics.add(gate, ENTERED, 1);
  while (!signal.aborted);
  if (signal.reason.message === 'enough') Atomics.store(gate, OPEN, 2);
}

/** Whether the signal that it sees is aborted. */
export function isAborted(): boolean {
  return taskSignal().aborted;
}

/** As `hold`, or throws at once. */
export async function holdOrFail({ gate, bad }: { gate: Gate; bad: boolean }): Promise<number> {
  if (bad) throw new RangeError('bad');
  return hold(gate);
}

/** As `hold`, and never yields to its event loop. */
export function spin(gate: Gate): number {
  Atomics.add(gate, ENTERED, 1);
  while (Atomics.load(gate, OPEN) === 0);
  return threadId;
}

/** Items leave one by one, each when the gate has been opened as often as its number says. */
export async function leaveInTurn({ gate, at }: { gate: Gate; at: number }): Promise<number> {
  Atomics.add(gate, ENTERED, 1);
  while (Atomics.load(gate, OPEN) < at) await turn();
  return at;
}

/** Two of them end only if they run at the same time. */
export function relay(turns: Int32Array, me: number, rounds: number): number {
  for (let round = me; round < rounds; round += 2) {
    while (Atomics.load(turns, 0) !== round);
    Atomics.add(turns, 0, 1);
  }
  return Atomics.load(turns, 0);
}

export function failAt({ at, n }: { at: number; n: number }): number {
  if (n >= at) throw new RangeError(`no item ${n}`);
  return n;
}

export class PriceError extends Error {
  override readonly name = 'PriceError';
  readonly code = 'ERR_PRICE';
  readonly detail: object = { price: -1, currencies: new Set(['EUR']) };
}

/** Throws one of many kinds of errors and values. */
export function fail(kind: string): never {
  throw failures[kind]?.();
}

const failures: Record<string, () => unknown> = {
  own: () => new PriceError('price is negative', { cause: new TypeError('outer', { cause: new Error('inner') }) }),
  type: () => new TypeError('not that type'),
  aggregate: () => new AggregateError([new RangeError('one'), 'two'], 'both'),
  withFunction: () => Object.assign(new Error('with a function'), { run: () => {}, code: 'ERR_KEPT' }),
  circular: () => {
    const error = new Error('circular');
    error.cause = error;
    return error;
  },
  system: () => Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT', errno: -2, path: '/none' }),
  abort: () => new DOMException('stopped', 'AbortError'),
  string: () => 'just words',
  nothing: () => undefined,
  object: () => ({ failure: 'an object of the user' }),
  function: () => () => {},
};

/** Gives back what no message can carry. */
export function unclonable(kind: 'function' | 'inside' | 'symbol' | 'promise'): unknown {
  if (kind === 'function') return () => {};
  if (kind === 'symbol') return Symbol('s');
  if (kind === 'promise') return { later: Promise.resolve() };
  return { deep: [{ run: () => {} }] };
}

/** Ends its thread before the task is done. */
export async function die(how: 'exit' | 'throw' | 'reject'): Promise<never> {
  parentPort?.postMessage({ value: 'not a result' });
  if (how === 'exit') process.exit(3);
  if (how === 'throw') setImmediate(() => lose());
  if (how === 'reject') void Promise.reject(new RangeError('nobody handles this'));
  return new Promise(() => setInterval(() => {}, 1000));
}

function lose(): never {
  throw Object.assign(new RangeError('thrown in a callback'), { failure: "a property of the user's" });
}

/** Is done, and leaves behind a callback that throws when the gate opens. */
export function leaveBomb(gate: Gate): void {
  const timer = setInterval(() => {
    if (Atomics.load(gate, OPEN) === 0) return;
    clearInterval(timer);
    lose();
  }, 1);
}

/** Talks while it works. */
export function chatter(n: number): number {
  parentPort?.postMessage({ value: 'not this' });
  parentPort?.postMessage(null);
  return n;
}

/** Is done, and leaves a timer that counts. */
export function leaveCounter(gate: Gate): void {
  const timer = setInterval(() => {
    if (Atomics.add(gate, ENTERED, 1) > 10) clearInterval(timer);
  }, 1);
}

/** Is done, and leaves a timer that would keep its thread alive. */
export function leaveTimer(): string {
  setInterval(() => {}, 1000);
  return 'done';
}

export function length(bytes: Uint8Array): number {
  return bytes.length;
}

export function moveBack(bytes: Uint8Array): Uint8Array {
  return move(bytes) as Uint8Array;
}

const kept = new Uint8Array(8);

/** Works once: then the bytes are gone. */
export function moveTwice(): Uint8Array {
  return move(kept) as Uint8Array;
}

export function print(lines: number): void {
  for (let line = 0; line < lines; line++) console.log(`line ${line}`);
}

interface Stock {
  mutex: Mutex;
  nested: { counters: Int32Array }[];
  rounds: number;
}

/** Counts without atomics, which only the lock makes right. */
export function countUnder({ mutex, nested, rounds }: Stock): Map<string, Mutex> {
  const counters = nested[0]?.counters as Int32Array;
  for (let round = 0; round < rounds; round++) {
    mutex.with(() => {
      counters[0] = Number(counters[0]) + 1;
    });
  }
  return new Map([['mutex', mutex]]);
}

export function nameOfData(): string | undefined {
  return (workerData as Map<string, Mutex>).get('mutex')?.name;
}

export function failWith(mutex: Mutex): never {
  throw Object.assign(new Error('with a mutex'), { mutex });
}

export function produce(queue: Queue<number>, count: number): void {
  for (let n = 0; n < count; n++) queue.put(n);
}

export function consume(queue: Queue<number>): number {
  let sum = 0;
  for (const n of queue) sum += n;
  return sum;
}

/** Made while the module loads, before any task has named a region. */
const early = new Mutex();

export function newMutex(): Mutex[] {
  return [early, new Mutex()];
}

export const notAFunction = 1;
