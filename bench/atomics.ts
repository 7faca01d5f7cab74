/**
 * The baselines: the same algorithms as in the library, on JavaScript's own `Atomics`.
 *
 * They are written for speed, as one would write them today, and keep the library's policy: try a bounded number of
 * times, then sleep; wake only where somebody sleeps.
 */

import { rest, TRIES } from '../lib/memory/wait.ts';

const FREE = 0; // nobody holds it
const HELD = 1; // held, and nobody sleeps
const CONTENDED = 2; // held, and somebody may sleep

/**
 * A lock of three states in one word. After Ulrich Drepper, "Futexes Are Tricky" (mutex 2), with the bounded spin of
 * Rust's `library/std/src/sys/sync/mutex/futex.rs`.
 */
export class AtomicsMutex {
  readonly #words: Int32Array;
  readonly #at: number;

  constructor(words: Int32Array, at = 0) {
    this.#words = words;
    this.#at = at;
  }

  lock(): void {
    if (Atomics.compareExchange(this.#words, this.#at, FREE, HELD) !== FREE) this.#lockContended();
  }

  unlock(): void {
    if (Atomics.exchange(this.#words, this.#at, FREE) === CONTENDED) Atomics.notify(this.#words, this.#at, 1);
  }

  #lockContended(): void {
    let state = this.#spin();
    if (state === FREE) {
      state = Atomics.compareExchange(this.#words, this.#at, FREE, HELD);
      if (state === FREE) return;
    }
    for (;;) {
      if (state !== CONTENDED && Atomics.exchange(this.#words, this.#at, CONTENDED) === FREE) return;
      Atomics.wait(this.#words, this.#at, CONTENDED);
      state = this.#spin();
    }
  }

  /** Looks until the lock is free, or somebody sleeps, or it has looked often enough. */
  #spin(): number {
    let state = HELD;
    for (let tries = 0; state === HELD && tries < TRIES; tries++) {
      rest();
      state = Atomics.load(this.#words, this.#at);
    }
    return state;
  }
}

/** Who sleeps until something changes: how many they are, and an epoch to sleep on. Two words. */
export class Sleepers {
  readonly #words: Int32Array;
  readonly #at: number;

  constructor(words: Int32Array, at: number) {
    this.#words = words;
    this.#at = at;
  }

  /** Tries until `attempt` gives something: a bounded number of times, then asleep between two tries. */
  until<T>(attempt: () => T | undefined): T {
    for (let tries = 0; tries < TRIES; tries++) {
      rest();
      const outcome = attempt();
      if (outcome !== undefined) return outcome;
    }
    Atomics.add(this.#words, this.#at, 1);
    for (;;) {
      // The epoch is read before the try: a change after the try changes the epoch, and the sleep ends at once.
      const epoch = Atomics.load(this.#words, this.#at + 1);
      const outcome = attempt();
      if (outcome !== undefined) {
        Atomics.sub(this.#words, this.#at, 1);
        return outcome;
      }
      Atomics.wait(this.#words, this.#at + 1, epoch);
    }
  }

  wakeOne(): void {
    if (Atomics.load(this.#words, this.#at) !== 0) this.#wake();
  }

  #wake(): void {
    Atomics.add(this.#words, this.#at + 1, 1);
    Atomics.notify(this.#words, this.#at + 1, 1);
  }
}

// The words of a ring. What producers write and what consumers write are 128 bytes apart.
const TAIL = 0;
const HEAD = 32;
const GETTERS = 64;
const PUTTERS = 96;
const SLOTS = 128;

/**
 * The bounded many-to-many ring of Dmitry Vyukov, of 32-bit integers. Each slot has a sequence: its position while it is
 * free, its position + 1 while it is full, its position + capacity when it is free again.
 */
export class AtomicsRing {
  readonly #words: Int32Array;
  readonly #capacity: number;
  readonly #mask: number;
  readonly #getters: Sleepers;
  readonly #putters: Sleepers;
  readonly #tryGet: () => number | undefined = () => this.tryGet();

  /** The shared words of a ring of `capacity` slots, a power of two. */
  static words(capacity: number): Int32Array {
    const words = new Int32Array(new SharedArrayBuffer(4 * (SLOTS + 2 * capacity)));
    for (let position = 0; position < capacity; position++) words[SLOTS + 2 * position] = position;
    return words;
  }

  constructor(words: Int32Array) {
    this.#words = words;
    this.#capacity = (words.length - SLOTS) / 2;
    this.#mask = this.#capacity - 1;
    this.#getters = new Sleepers(words, GETTERS);
    this.#putters = new Sleepers(words, PUTTERS);
  }

  put(value: number): void {
    if (!this.tryPut(value)) this.#putters.until(() => this.tryPut(value) || undefined);
    this.#getters.wakeOne();
  }

  get(): number {
    const value = this.tryGet() ?? this.#getters.until(this.#tryGet);
    this.#putters.wakeOne();
    return value;
  }

  /** A put that neither sleeps nor wakes; false when the ring is full. */
  tryPut(value: number): boolean {
    const words = this.#words;
    for (;;) {
      const position = Atomics.load(words, TAIL);
      const slot = SLOTS + 2 * (position & this.#mask);
      const lag = (Atomics.load(words, slot) - position) | 0;
      if (lag < 0) return false;
      if (lag === 0 && Atomics.compareExchange(words, TAIL, position, (position + 1) | 0) === position) {
        words[slot + 1] = value;
        Atomics.store(words, slot, (position + 1) | 0);
        return true;
      }
    }
  }

  /** A get that neither sleeps nor wakes; undefined when the ring is empty. */
  tryGet(): number | undefined {
    const words = this.#words;
    for (;;) {
      const position = Atomics.load(words, HEAD);
      const slot = SLOTS + 2 * (position & this.#mask);
      const lag = (Atomics.load(words, slot) - (position + 1)) | 0;
      if (lag < 0) return undefined;
      if (lag === 0 && Atomics.compareExchange(words, HEAD, position, (position + 1) | 0) === position) {
        const value = words[slot + 1];
        Atomics.store(words, slot, (position + this.#capacity) | 0);
        return value;
      }
    }
  }
}
