import { attach, type Shared, share } from '../lib/memory/handles.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { Sleepers } from './atomics.ts';

// The words of a queue under a lock: two counts, then who sleeps, then the slots.
const GETTERS = 32;
const PUTTERS = 64;
const SLOTS = 96;

export interface LockedParts {
  readonly mutex: Shared<Mutex>;
  readonly words: Int32Array;
}

/** A queue as one would build it from a lock: an array of slots, and two counts that the lock guards. */
export class LockedQueue {
  readonly #mutex: Mutex;
  readonly #words: Int32Array;
  readonly #capacity: number;
  readonly #getters: Sleepers;
  readonly #putters: Sleepers;

  /** The shared parts of a queue of `capacity` slots, a power of two. */
  static parts(capacity: number): LockedParts {
    return { mutex: share(new Mutex()), words: new Int32Array(new SharedArrayBuffer(4 * (SLOTS + capacity))) };
  }

  constructor({ mutex, words }: LockedParts) {
    this.#mutex = attach(mutex);
    this.#words = words;
    this.#capacity = words.length - SLOTS;
    this.#getters = new Sleepers(words, GETTERS);
    this.#putters = new Sleepers(words, PUTTERS);
  }

  put(value: number): void {
    if (!this.#tryPut(value)) this.#putters.until(() => this.#tryPut(value) || undefined);
    this.#getters.wakeOne();
  }

  get(): number {
    const value = this.#tryGet() ?? this.#getters.until(() => this.#tryGet());
    this.#putters.wakeOne();
    return value;
  }

  #tryPut(value: number): boolean {
    const words = this.#words;
    this.#mutex.lock();
    const head = words[0] ?? 0;
    const tail = words[1] ?? 0;
    const room = ((tail - head) | 0) < this.#capacity;
    if (room) {
      words[SLOTS + (tail & (this.#capacity - 1))] = value;
      words[1] = tail + 1;
    }
    this.#mutex.unlock();
    return room;
  }

  #tryGet(): number | undefined {
    const words = this.#words;
    this.#mutex.lock();
    const head = words[0] ?? 0;
    const tail = words[1] ?? 0;
    const value = head !== tail ? words[SLOTS + (head & (this.#capacity - 1))] : undefined;
    if (head !== tail) words[0] = head + 1;
    this.#mutex.unlock();
    return value;
  }
}
