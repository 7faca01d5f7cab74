// The readers and writers of an account that has two halves: what one of them has more, the other has less.
import type { RwLock } from '../lib/index.ts';

export interface Account {
  readonly halves: Int32Array;
  readonly lock: RwLock;
  /** Readers inside at this moment, and the most there ever were. */
  readonly inside: Int32Array;
}

/** Looks at both halves so many times; how often they did not add up to `sum`. */
export function read({ halves, lock, inside }: Account, sum: number, looks: number): number {
  let torn = 0;
  for (let look = 0; look < looks; look++) {
    lock.read.with(() => {
      const readers = Atomics.add(inside, 0, 1) + 1;
      if (readers > Atomics.load(inside, 1)) Atomics.store(inside, 1, readers);
      const first = halves[0] ?? 0;
      ponder();
      if (first + (halves[1] ?? 0) !== sum) torn++;
      Atomics.sub(inside, 0, 1);
    });
  }
  return torn;
}

/** Moves 1 from one half to the other, so many times, with a pause in the middle. */
export function write({ halves, lock }: Account, moves: number): void {
  for (let move = 0; move < moves; move++) {
    lock.write.with(() => {
      halves[0] = (halves[0] ?? 0) - 1;
      ponder();
      halves[1] = (halves[1] ?? 0) + 1;
    });
  }
}

/** Some ten microseconds of work. */
function ponder(): void {
  for (let end = performance.now() + 0.01; performance.now() < end; );
}
