import type { Queue } from '../../../lib/queue/queue.ts';
import type { Mutex } from '../../../lib/sync/mutex.ts';
import { random } from '../random.ts';
import { type Lane, OWNER_DIED } from './lane.ts';
import { type Items, laneOf, leave, NUMBERS_A_LANE, putMany, type Stage } from './work.ts';

// What threads do that are terminated in the middle of it, and those that live on, until they are told to stop or the queue is
// closed. A victim whose lane is full waits for its death.

export const STOP = 1; // word: 1 when those who are left should end
const NAPS = 8; // one time of so many a thread gives its processor away

export interface Dying<T> {
  readonly stage: Stage<T>;
  readonly lane: number;
  readonly victim: boolean;
}

/** Locks and counts; recovers the lock of one who died. */
export function lockUntilDeath({ stage, lane: at, victim }: Dying<Mutex>): void {
  const { object: mutex, words } = stage;
  const lane = laneOf(stage, at);
  const next = random(stage.seed + at);
  while (lane.room >= 4 && Atomics.load(words, STOP) === 0) {
    const outcome = lane.do('lock', 0, () => mutex.lock() && (words[0] ?? 0));
    if (next(NAPS) === 0) nap();
    if (outcome === OWNER_DIED) recover(mutex, words, lane);
    else leave(mutex, words, lane, outcome);
    if (next(NAPS) === 0) nap();
  }
  if (victim) hang();
}

/** Two operations of one call: it locks, and reads the count under the lock; then it unlocks. */
function recover(mutex: Mutex, words: Int32Array, lane: Lane): void {
  const call = lane.now();
  const [locked, settled] = [lane.begin('recover', 0, call), lane.begin('settle', 0, call)];
  const count = mutex.recover(() => words[0] ?? 0);
  const returned = lane.tick();
  lane.end(locked, count, returned);
  lane.end(settled, 0, returned);
}

/** Puts, or takes, until the queue is closed. */
export function tradeUntilDeath({ stage, lane: at, victim }: Dying<Queue<unknown>>): void {
  const { object: queue, seed, text } = stage as Items;
  const lane = laneOf(stage, at);
  const next = random(seed + at);
  const item = (n: number): unknown => (text ? String(n) : n);
  let outcome = 0;
  for (let n = at * NUMBERS_A_LANE; lane.room >= 4 && outcome >= 0; n += 3) {
    if (at % 2 === 1) outcome = lane.do('get', 0, () => Number(queue.get()));
    else if (next(3) > 0) outcome = lane.do('put', n, () => queue.put(item(n)));
    else outcome = putMany(lane, queue, [n, n + 1, n + 2], item);
    if (next(NAPS) === 0) nap();
  }
  if (outcome >= 0 && victim) hang();
}

const pillow = new Int32Array(new SharedArrayBuffer(4));

function nap(): void {
  Atomics.wait(pillow, 0, 0, 0.05);
}

function hang(): void {
  Atomics.wait(pillow, 0, 0);
}
