import { channel } from 'node:diagnostics_channel';
import { TASK_BEGAN, TASK_ENDED } from '../kernel/layout.ts';
import { Histogram, type PoolTimes } from './histogram.ts';
import { now } from './table.ts';
import type { Task } from './threads.ts';

const tasksChannel = channel('ringfence:task');

/** A message on the channel `ringfence:task` of `node:diagnostics_channel`: a task has ended, well or not. */
export interface TaskEnd {
  readonly pool: string;
  /** The function. */
  readonly name: string;
  /** More than 1 for a batch of `pool.map`. */
  readonly items: number;
  readonly fulfilled: boolean;
  /** Milliseconds from `run` until a thread began it, and from there to its end; absent with `recordTiming: false`. */
  readonly waitTime?: number;
  readonly runTime?: number;
}

/** How long the tasks of a pool waited and ran, and who is told of each that ends. */
export class Timing {
  readonly #pool: string;
  readonly #f64: Float64Array;
  readonly #run: Histogram | undefined;
  readonly #wait: Histogram | undefined;

  /** `f64`: the memory of the records. Without `isKept` it only tells of ends. */
  constructor(pool: string, f64: Float64Array, isKept: boolean) {
    this.#pool = pool;
    this.#f64 = f64;
    this.#run = isKept ? new Histogram() : undefined;
    this.#wait = isKept ? new Histogram() : undefined;
  }

  /** Whether times are kept, here and by the threads. */
  get isKept(): boolean {
    return this.#run !== undefined;
  }

  get runTime(): PoolTimes | undefined {
    return this.#run?.times;
  }

  get waitTime(): PoolTimes | undefined {
    return this.#wait?.times;
  }

  /** The instant from which a task waits. */
  begin(): number {
    return this.#run ? now() : 0;
  }

  /** A task has ended whose record is there. */
  end(record: number, since: number, task: Task, fulfilled: boolean): void {
    const items = task.many ? (task.payload as unknown[]).length : 1;
    const began = this.#f64[(record + TASK_BEGAN) >> 3] as number;
    const runTime = (this.#f64[(record + TASK_ENDED) >> 3] as number) - began;
    const waitTime = began - since;
    this.#run?.record(runTime / items, items);
    this.#wait?.record(waitTime, items);
    if (!tasksChannel.hasSubscribers) return;
    const times = this.#run && { waitTime, runTime };
    tasksChannel.publish({ pool: this.#pool, name: task.name, items, fulfilled, ...times } satisfies TaskEnd);
  }
}
