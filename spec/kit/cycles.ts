import { setImmediate as turn } from 'node:timers/promises';
import { MUTEX_WAITERS } from '../../lib/kernel/layout.ts';
import { DeadlockError } from '../../lib/memory/errors.ts';
import type { RegionSnapshot } from '../../lib/memory/snapshot.ts';
import { Queue } from '../../lib/queue/queue.ts';
import { Mutex } from '../../lib/sync/mutex.ts';
import { random } from './random.ts';
import { ENTERED, type Gate, OPEN } from './tasks.ts';

// What the threads of the specs of deadlocks and snapshots do.

/** Two words: how many have arrived, and how often all of them did. */
export type Meeting = Int32Array;

/** Waits until `parties` threads have come. */
export function meet(meeting: Meeting, parties: number): void {
  const round = Atomics.load(meeting, 1);
  if (Atomics.add(meeting, 0, 1) === parties - 1) {
    Atomics.store(meeting, 0, 0);
    Atomics.add(meeting, 1, 1);
    Atomics.notify(meeting, 1);
  } else while (Atomics.load(meeting, 1) === round) Atomics.wait(meeting, 1, round);
}

export interface Circle {
  readonly mutexes: readonly Mutex[];
  readonly meeting: Meeting;
  readonly rounds: number;
}

/** In each round every thread holds its own mutex and locks the next one's, all at once; the messages of the deadlocks. */
export function goInCircles({ mutexes, meeting, rounds }: Circle, index: number): { slot: number; said: string[] } {
  const [mine, next] = [mutexes[index], mutexes[(index + 1) % mutexes.length]] as [Mutex, Mutex];
  const said: string[] = [];
  for (let round = 0; round < rounds; round++) {
    mine.lock();
    meet(meeting, mutexes.length);
    try {
      next.lock().unlock();
    } catch (error) {
      if (!(error instanceof DeadlockError)) throw error;
      said.push(error.message);
    }
    mine.unlock();
    meet(meeting, mutexes.length);
  }
  return { slot: mine.region.slot, said };
}

export interface Orders {
  readonly mutexes: readonly Mutex[];
  /** Plain words, one for each mutex, counted under it. */
  readonly counters: Int32Array;
  readonly times: number;
  readonly sorted: boolean;
}

/** Locks three mutexes at a time, in random order or in theirs; how often that was a deadlock, and how often it went well. */
export function lockSome({ mutexes, counters, times, sorted }: Orders, index: number): { dead: number; done: number } {
  const draw = random(index + 1);
  let [dead, done] = [0, 0];
  while (done < times) {
    const chosen = new Set<number>();
    while (chosen.size < 3) chosen.add(draw(mutexes.length));
    const order = sorted ? [...chosen].sort((a, b) => a - b) : [...chosen];
    const held: Mutex[] = [];
    try {
      for (const at of order) held.push((mutexes[at] as Mutex).lock());
      for (const at of order) counters[at] = (counters[at] ?? 0) + 1;
      done++;
    } catch (error) {
      if (!(error instanceof DeadlockError)) throw error;
      dead++;
    } finally {
      for (const mutex of held) mutex.unlock();
    }
  }
  return { dead, done };
}

export interface Pair {
  readonly first: Mutex;
  readonly second: Mutex;
  readonly gate: Gate;
}

function outcome(run: () => unknown): string {
  try {
    run();
    return 'done';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** Locks `first`, says so, and then `second`, when the gate is open. */
export function holdAndLock({ first, second, gate }: Pair): string {
  first.lock();
  Atomics.add(gate, ENTERED, 1);
  Atomics.notify(gate, ENTERED);
  while (Atomics.load(gate, OPEN) === 0) Atomics.wait(gate, OPEN, 0);
  const said = outcome(() => second.lock().unlock());
  first.unlock();
  return said;
}

/** The same; it gives up. */
export function holdAndLockFor({ first, second, gate }: Pair): string {
  const impatient = { lock: () => second.lock({ timeout: 200 }) } as Mutex;
  return holdAndLock({ first, second: impatient, gate });
}

/** One task holds `first`, another one blocks for `second` when the gate is open. */
export async function holdInTask({ first, second, gate }: Pair): Promise<string> {
  const holding = first.withAsync(async () => {
    Atomics.add(gate, ENTERED, 1);
    while (Atomics.load(gate, OPEN) === 0) await turn();
    await turn();
  });
  while (Atomics.load(gate, OPEN) === 0) await turn();
  const said = outcome(() => second.lock().unlock());
  await holding;
  return said;
}

/** One task holds `first`, another one waits for `second` by a promise; a third one unlocks `first` once it is waited for. */
export async function holdAndAwait({ first, second, gate }: Pair): Promise<string> {
  await first.lockAsync();
  Atomics.add(gate, ENTERED, 1);
  while (Atomics.load(gate, OPEN) === 0) await turn();
  const waiting = second.lockAsync();
  const { kernel } = first.region;
  while (kernel.waiting(first.offset + MUTEX_WAITERS) === 0) await turn();
  first.unlock();
  (await waiting).unlock();
  return 'done';
}

/** Locks and unlocks. */
export function lockAndLeave({ mutex }: { mutex: Mutex }): string {
  return outcome(() => mutex.lock().unlock());
}

/** Looks at the region until the main thread blocks, and puts what it waits for; what it saw. */
export function lookAndPut({ gate, started }: { gate: Queue<number>; started: Gate }): RegionSnapshot {
  Atomics.add(started, ENTERED, 1);
  for (;;) {
    const snapshot = gate.region.inspect();
    const main = snapshot.threads.find(({ thread }) => thread === 0);
    if (!main?.waits.some(({ blocking }) => blocking)) continue;
    gate.put(1);
    return snapshot;
  }
}

/** Holds what it is given and blocks for ever. */
export function holdAndHang({ first, second }: { first?: Mutex; second: Mutex }): void {
  first?.lock();
  second.lock();
}

export interface Storm {
  readonly mutex: Mutex;
  readonly queue: Queue<number>;
  readonly gate: Gate;
}

/** Makes and frees objects, locks, waits and sends, until the gate opens; how often. */
export async function storm({ mutex, queue, gate }: Storm, index: number): Promise<number> {
  const { region } = mutex;
  let rounds = 0;
  for (; Atomics.load(gate, OPEN) === 0; rounds++) {
    const made = [new Mutex({ region, name: `m${rounds}` }), new Queue({ region, capacity: 1 + (rounds % 7) })];
    mutex.with(() => (index % 2 === 0 ? queue.tryPut(rounds) : queue.tryGet()));
    if (rounds % 16 === 0) await mutex.withAsync(() => turn());
    for (const object of made) object.free();
    if (rounds === 16) Atomics.add(gate, ENTERED, 1);
  }
  return rounds;
}
