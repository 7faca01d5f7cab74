import { TASK_ABORTED, TASK_PLACE_SHIFT } from '../kernel/layout.ts';
import { type Failure, unpack } from './failure.ts';
import type { Table } from './table.ts';

/** The tasks of a thread that ask whether they are aborted, and those that are. */
export class Aborts {
  readonly #table: Table;
  readonly #aborted: number;
  readonly #readPort: () => void;
  readonly #aborters = new Map<number, AbortController>();

  /** `readPort`: the reason of an abort is in a message, and the thread may be in a loop that never yields. */
  constructor(table: Table, place: number, readPort: () => void) {
    this.#table = table;
    this.#aborted = TASK_ABORTED | (place << TASK_PLACE_SHIFT);
    this.#readPort = readPort;
  }

  isAborted(task: number): boolean {
    return this.#table.region.kernel.valueLoad(this.#table.record(task)) === this.#aborted;
  }

  /** The reason has come. */
  abort(task: number, failure: Failure['failure']): void {
    if (this.isAborted(task)) this.#aborter(task).abort(unpack({ failure }));
  }

  /** The signal of the task: it tells the truth in a loop that never yields, too. */
  signal(task: number): AbortSignal {
    const { signal } = this.#aborter(task);
    const look = (): void => {
      if (this.isAborted(task)) this.#readPort();
    };
    return Object.hasOwn(signal, 'aborted') ? signal : lively(signal, look);
  }

  /** The task has ended. */
  forget(task: number): void {
    if (this.#aborters.size > 0) this.#aborters.delete(task);
  }

  #aborter(task: number): AbortController {
    const known = this.#aborters.get(task);
    if (known) return known;
    const aborter = new AbortController();
    this.#aborters.set(task, aborter);
    return aborter;
  }
}

const isNativelyAborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')?.get as () => boolean;

/** A signal that looks whether it is aborted when it is asked, and not only when the event loop turns. */
function lively(signal: AbortSignal, look: () => void): AbortSignal {
  const aborted = (): boolean => {
    if (!isNativelyAborted.call(signal)) look();
    return isNativelyAborted.call(signal);
  };
  const throwIfAborted = (): void => {
    if (aborted()) throw signal.reason;
  };
  Object.defineProperty(signal, 'aborted', { get: aborted });
  return Object.defineProperty(signal, 'throwIfAborted', { value: throwIfAborted });
}
