// A philosopher. Each runs in a thread of its own.
import { type Barrier, DeadlockError, type Mutex } from '../lib/index.ts';

/** Takes the left fork, waits until everybody has one, takes the right one, eats. What became of it, or the deadlock in words. */
export function dineGreedily(name: string, left: Mutex, right: Mutex, everybodyHasOne: Barrier): string {
  return left.with(() => {
    everybodyHasOne.wait();
    try {
      return right.with(() => `${name} ate`);
    } catch (error) {
      if (error instanceof DeadlockError) return error.message;
      throw error;
    }
  });
}

/** Eats so many times, always with the fork of the lower number first: no circle can close. */
export function dineInOrder(first: Mutex, second: Mutex, meals: Int32Array, seat: number, times: number): void {
  for (let meal = 0; meal < times; meal++) {
    first.with(() => {
      second.with(() => {
        meals[seat] = (meals[seat] ?? 0) + 1;
      });
    });
  }
}
