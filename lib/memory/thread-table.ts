/** The threads table of a region: a record for each thread that uses it. Layout: ../kernel/layout.ts. */
import * as worker from 'node:worker_threads';
import {
  REGION_THREADS,
  REGION_THREADS_AT,
  THREAD_BYTES,
  THREAD_GENERATION,
  THREAD_LAST,
  THREAD_NAME,
} from '../kernel/layout.ts';
import { ancestors, ancestorsIn } from './ancestors.ts';
import { TooManyThreadsError } from './errors.ts';
import type { Kernel } from './kernel.ts';
import { readName, writeName } from './kinds.ts';

const { isMainThread, threadId } = worker;
/** What Node 24 and later call each worker to which nobody gave a name. */
const NAMELESS = 'WorkerThread';

let threadName = '';

/** What this thread is called in the regions that it joins from now on. */
export function nameThread(name: string): void {
  threadName = name;
}

/** Node tells a worker its own name from version 22.20 and 24.6 on. */
function nameOfThread(): string {
  const { threadName: given } = worker as { threadName?: string };
  const own = given === NAMELESS ? '' : given;
  return threadName || own || (isMainThread ? 'main' : `worker ${threadId}`);
}

export class ThreadTable {
  readonly #kernel: Kernel;
  readonly #i32: Int32Array;
  readonly #buffer: Buffer;
  /** Address of the first record. */
  readonly at: number;
  /** How many threads there may be. */
  readonly slots: number;

  constructor(kernel: Kernel, i32: Int32Array, buffer: Buffer) {
    this.#kernel = kernel;
    this.#i32 = i32;
    this.#buffer = buffer;
    this.at = i32[REGION_THREADS_AT >> 2] ?? 0;
    this.slots = i32[REGION_THREADS >> 2] ?? 0;
  }

  /** Takes a slot for the calling thread, if it has none yet. Throws TooManyThreadsError. */
  join(): number {
    const mine = this.slotOf(threadId);
    if (mine >= 0) return mine;
    for (let slot = 0; slot < this.slots; slot++) {
      const record = this.recordOf(slot);
      if (!this.#kernel.threadJoin(record, threadId + 1)) continue;
      writeName(this.#buffer, record + THREAD_NAME, nameOfThread());
      ancestorsIn(this.#i32, record).set(ancestors.map((thread) => thread + 1));
      return slot;
    }
    throw new TooManyThreadsError(this.slots);
  }

  /** The slot of a thread of this process, or -1. */
  slotOf(thread: number): number {
    for (let slot = 0; slot < this.slots; slot++) {
      if (this.#kernel.threadClaim(this.recordOf(slot)) === thread + 1) return slot;
    }
    return -1;
  }

  /** Address of the record of a slot. */
  recordOf(slot: number): number {
    return this.at + slot * THREAD_BYTES;
  }

  nameOf(slot: number): string {
    return readName(this.#buffer, this.recordOf(slot) + THREAD_NAME);
  }

  /** How often the slot was given back. */
  generation(slot: number): number {
    return this.#i32[(this.recordOf(slot) + THREAD_GENERATION) >> 2] ?? 0;
  }

  /** Slots of which this thread had one, buried itself, and was not heard of yet; it is heard of now. */
  *hearOf(thread: number): Generator<number> {
    for (let slot = 0; slot < this.slots; slot++) {
      const last = this.recordOf(slot) + THREAD_LAST;
      if (this.#kernel.peek(last) !== thread + 1) continue;
      this.#i32[last >> 2] = 0;
      yield slot;
    }
  }
}
