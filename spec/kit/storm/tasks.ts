import type { Mutex } from '../../../lib/sync/mutex.ts';

/** Holds a lock until its thread is terminated. */
export function hold({ mutex, begun }: { mutex: Mutex; begun: Int32Array }): never {
  mutex.lock();
  Atomics.store(begun, 0, 1);
  for (;;) Atomics.wait(begun, 0, 1);
}

export function add([one, other]: readonly [number, number]): number {
  return one + other;
}
