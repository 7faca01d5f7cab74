import { setImmediate as turn } from 'node:timers/promises';
import type { Queue } from '../../../lib/queue/queue.ts';
import type { LockFace } from '../../../lib/sync/locked.ts';
import type { Mutex } from '../../../lib/sync/mutex.ts';
import type { RwLock } from '../../../lib/sync/rwlock.ts';
import type { Semaphore } from '../../../lib/sync/semaphore.ts';
import { random } from '../random.ts';
import { CLOSED, Lane, outcomeOf, REFUSED, type Verb } from './lane.ts';

// What the threads do whose histories are recorded: blocking, trying, with short timeouts, and by promises.

/** One recording: an object, and the lanes of those who use it. */
export interface Stage<T> {
  readonly object: T;
  readonly clock: Int32Array;
  readonly lanes: readonly Int32Array[];
  readonly seed: number;
  /** What its users share beside it. */
  readonly words: Int32Array;
}

/** The threads of a crew take the stages one after another; the last thread has two lanes, one for each of two tasks. */
export interface Recorded<T> {
  readonly stages: readonly Stage<T>[];
  readonly threads: number;
}

type Next = (limit: number) => number;
type Act<T> = (stage: Stage<T>, lane: Lane, next: Next, index: number) => void;
type Task<T> = (stage: Stage<T>, lane: Lane, next: Next, index: number) => Promise<void>;

async function work<T>({ stages, threads }: Recorded<T>, index: number, act: Act<T>, task: Task<T>): Promise<void> {
  for (const stage of stages) {
    const at = (lane: number) => [stage, laneOf(stage, lane), random(stage.seed + lane), lane] as const;
    if (index < threads - 1) act(...at(index));
    else await Promise.all([task(...at(index)), task(...at(index + 1))]);
  }
}

export function laneOf({ clock, lanes }: Stage<unknown>, lane: number): Lane {
  return new Lane(clock, lanes[lane] as Int32Array);
}

/** Milliseconds, often less than the lock is held by another thread. */
function short(next: Next): { timeout: number } {
  return { timeout: next(8) / 100 };
}

/** Turns of waiting in the middle of a critical section, and between two of them: some microseconds, often none. */
const [INSIDE, OUTSIDE] = [60, 600];
const NAPS = 48; // one time of so many the thread gives its processor away

/** So the threads drift against each other, and meet each other in the middle of something, be there one processor or many. */
function dawdle(next: Next, most: number): void {
  if (next(NAPS) === 0) Atomics.wait(pillow, 0, 0, 0.01);
  else if (next(2) === 0) for (let turns = next(most); turns > 0; turns--) Atomics.load(pillow, 0);
}

const pillow = new Int32Array(new SharedArrayBuffer(4));

async function dawdleAsync(next: Next): Promise<void> {
  if (next(4) === 0) await turn();
}

// Mutex

export function useMutex(recorded: Recorded<Mutex>, index: number): Promise<void> {
  return work(recorded, index, lockAndCount, lockAndCountAsync);
}

function lockAndCount({ object: mutex, words }: Stage<Mutex>, lane: Lane, next: Next): void {
  const locked = (): number => words[0] ?? 0;
  while (lane.room >= 2) {
    const way = next(8);
    const options = way === 1 ? short(next) : undefined;
    const outcome =
      way > 5
        ? lane.do('tryLock', 0, () => mutex.tryLock() && locked())
        : lane.do('lock', 0, () => mutex.lock(options) && locked());
    dawdle(next, INSIDE);
    if (outcome >= 0) leave(mutex, words, lane, outcome);
    dawdle(next, OUTSIDE);
  }
}

async function lockAndCountAsync({ object: mutex, words }: Stage<Mutex>, lane: Lane, next: Next): Promise<void> {
  while (lane.room >= 2) {
    const options = next(8) === 0 ? short(next) : undefined;
    const outcome = await lane.doAsync('lock', 0, async () => (await mutex.lockAsync(options)) && (words[0] ?? 0));
    await dawdleAsync(next);
    if (outcome >= 0) leave(mutex, words, lane, outcome);
  }
}

/** Raises the count, plainly, and unlocks. */
export function leave(mutex: Mutex, words: Int32Array, lane: Lane, count: number): void {
  words[0] = count + 1;
  lane.do('unlock', 0, () => mutex.unlock());
}

// Queue

const PRODUCERS = 0; // word: how many of them are not done

export interface Items extends Stage<Queue<unknown>> {
  /** How an item of the codec is made of a number. */
  readonly text: boolean;
  /** Whether the first producer that is done closes the queue, instead of the last one. */
  readonly early: boolean;
}

export function useQueue(recorded: Recorded<Queue<unknown>>, index: number): Promise<void> {
  const trade: Act<Queue<unknown>> = (stage, lane, next, at) =>
    at % 2 === 0 ? produce(stage as Items, lane, next, at) : consume(stage as Items, lane, next);
  const tradeAsync: Task<Queue<unknown>> = (stage, lane, next, at) =>
    at % 2 === 0 ? produceAsync(stage as Items, lane, next, at) : consumeAsync(stage as Items, lane, next);
  return work(recorded, index, trade, tradeAsync);
}

export const NUMBERS_A_LANE: number = 2 ** 24; // items of different lanes differ

function produce(stage: Items, lane: Lane, next: Next, index: number): void {
  const { object: queue } = stage;
  const item = (n: number): unknown => (stage.text ? String(n) : n);
  let outcome = 0;
  for (let n = index * NUMBERS_A_LANE; lane.room > 4 && outcome !== CLOSED; n++) {
    const way = next(10);
    if (way === 0) {
      outcome = putMany(
        lane,
        queue,
        Array.from({ length: 2 + next(2) }, (_, i) => n + i),
        item,
      );
      n += 2;
    } else if (way < 3) {
      outcome = lane.do('tryPut', n, () => queue.tryPut(item(n)));
    } else {
      const options = way === 3 ? short(next) : undefined;
      outcome = lane.do('put', n, () => queue.put(item(n), options));
    }
    dawdle(next, INSIDE);
  }
  finish(stage, lane);
}

/** One call, and an operation of the history for each item. */
export function putMany(
  lane: Lane,
  queue: Queue<unknown>,
  numbers: readonly number[],
  item: (n: number) => unknown,
): number {
  const call = lane.now();
  const records = numbers.map((n) => lane.begin('put', n, call));
  let done = numbers.length;
  const outcome = outcomeOf(() => {
    try {
      queue.putMany(numbers.map(item));
    } catch (error) {
      done = (error as { done: number }).done;
      throw error;
    }
  });
  const returned = lane.tick();
  for (const [i, record] of records.entries()) lane.end(record, i < done ? 0 : outcome, returned);
  return outcome;
}

async function produceAsync(stage: Items, lane: Lane, next: Next, index: number): Promise<void> {
  const { object: queue } = stage;
  let outcome = 0;
  for (let n = index * NUMBERS_A_LANE; lane.room > 4 && outcome !== CLOSED; n++) {
    const options = next(8) === 0 ? short(next) : undefined;
    const item = stage.text ? String(n) : n;
    outcome = await lane.doAsync('put', n, () => queue.putAsync(item, options));
    await dawdleAsync(next);
  }
  finish(stage, lane);
}

function finish({ words, early, object: queue }: Items, lane: Lane): void {
  const left = Atomics.sub(words, PRODUCERS, 1) - 1;
  if (early || left === 0) lane.do('close', 0, () => queue.close());
}

function consume({ object: queue }: Items, lane: Lane, next: Next): void {
  let outcome = 0;
  while (outcome !== CLOSED) {
    if (lane.room < 6) throw new Error('a consumer has no room left to record');
    const way = next(10);
    if (way === 0) outcome = getMany(lane, queue, 2 + next(2));
    else if (way < 3) {
      outcome = lane.do('tryGet', 0, () => Number(queue.tryGet() ?? REFUSED));
    } else {
      const options = way === 3 ? short(next) : undefined;
      outcome = lane.do('get', 0, () => Number(queue.get(options)));
    }
    dawdle(next, INSIDE);
  }
}

function getMany(lane: Lane, queue: Queue<unknown>, max: number): number {
  const call = lane.now();
  let got: number[] = [];
  const outcome = outcomeOf(() => {
    got = queue.getMany(max).map(Number);
    return 0;
  });
  if (outcome < 0) got = [outcome];
  const returned = lane.tick();
  for (const n of got) lane.end(lane.begin('get', 0, call), n, returned);
  return outcome;
}

async function consumeAsync({ object: queue }: Items, lane: Lane, next: Next): Promise<void> {
  let outcome = 0;
  while (outcome !== CLOSED) {
    if (lane.room < 2) throw new Error('a consumer has no room left to record');
    outcome = await lane.doAsync('get', 0, async () => Number(await queue.getAsync()));
    await dawdleAsync(next);
  }
}

// Semaphore

export function useSemaphore(recorded: Recorded<Semaphore>, index: number): Promise<void> {
  return work(recorded, index, acquireAndRelease, acquireAndReleaseAsync);
}

const MOST = 2; // permits at once

function acquireAndRelease({ object: semaphore }: Stage<Semaphore>, lane: Lane, next: Next): void {
  while (lane.room > MOST) {
    const n = 1 + next(MOST);
    const way = next(8);
    const options = way === 1 ? short(next) : undefined;
    const outcome =
      way > 5
        ? lane.do('tryAcquire', n, () => semaphore.tryAcquire(n))
        : lane.do('acquire', n, () => semaphore.acquire(n, options));
    dawdle(next, INSIDE);
    if (outcome === 0) release(semaphore, lane, next, n);
    dawdle(next, OUTSIDE);
  }
}

async function acquireAndReleaseAsync({ object: semaphore }: Stage<Semaphore>, lane: Lane, next: Next): Promise<void> {
  while (lane.room > MOST) {
    const n = 1 + next(MOST);
    const options = next(8) === 0 ? short(next) : undefined;
    const outcome = await lane.doAsync('acquire', n, () => semaphore.acquireAsync(n, options));
    await dawdleAsync(next);
    if (outcome === 0) release(semaphore, lane, next, n);
  }
}

/** At once, or one by one. */
function release(semaphore: Semaphore, lane: Lane, next: Next, n: number): void {
  const parts = next(2) === 0 ? [n] : Array<number>(n).fill(1);
  for (const part of parts) lane.do('release', part, () => semaphore.release(part));
}

// RwLock

export function useRwLock(recorded: Recorded<RwLock>, index: number): Promise<void> {
  return work(recorded, index, readOrWrite, readOrWriteAsync);
}

/** The version: two plain words that are equal whenever nobody writes. */
function version(words: Int32Array): number {
  if (words[0] !== words[1]) throw new Error(`half a write was seen: ${words[0]} and ${words[1]}`);
  return words[0] ?? 0;
}

const FACES: { readonly read: readonly [Verb, Verb, Verb]; readonly write: readonly [Verb, Verb, Verb] } = {
  read: ['read', 'tryRead', 'unlockRead'],
  write: ['write', 'tryWrite', 'unlockWrite'],
};

function readOrWrite({ object, words }: Stage<RwLock>, lane: Lane, next: Next): void {
  while (lane.room >= 4) {
    const side = next(3) === 0 ? 'write' : 'read';
    const [lock, tryLock, unlock] = FACES[side];
    const face = object[side];
    const way = next(8);
    const options = way === 1 ? short(next) : undefined;
    const outcome =
      way > 5
        ? lane.do(tryLock, 0, () => face.tryLock() && version(words))
        : lane.do(lock, 0, () => face.lock(options) && version(words));
    if (outcome < 0) continue;
    dawdle(next, INSIDE);
    if (side === 'write') write(words, next);
    else if (way === 2) readAgain(face, words, lane);
    lane.do(unlock, 0, () => face.unlock());
    dawdle(next, OUTSIDE);
  }
}

function readAgain(face: LockFace, words: Int32Array, lane: Lane): void {
  lane.do('read', 0, () => face.lock() && version(words));
  lane.do('unlockRead', 0, () => face.unlock());
}

function write(words: Int32Array, next: Next): void {
  const version = (words[0] ?? 0) + 1;
  words[0] = version;
  dawdle(next, INSIDE);
  words[1] = version;
}

async function readOrWriteAsync({ object, words }: Stage<RwLock>, lane: Lane, next: Next): Promise<void> {
  while (lane.room >= 2) {
    const side = next(3) === 0 ? 'write' : 'read';
    const [lock, , unlock] = FACES[side];
    const face = object[side];
    const options = next(8) === 0 ? short(next) : undefined;
    const outcome = await lane.doAsync(lock, 0, async () => (await face.lockAsync(options)) && version(words));
    if (outcome < 0) continue;
    await dawdleAsync(next);
    if (side === 'write') write(words, next);
    lane.do(unlock, 0, () => face.unlock());
  }
}
