import { type Failure, pack } from './failure.ts';
import type { Batch } from './table.ts';

export type Callable = (...args: unknown[]) => unknown;

/** What became of the items of one task, in their order. */
export class Many {
  readonly values: unknown[] = [];
  readonly failures: (readonly [number, Failure])[];

  constructor(failures: readonly (readonly [number, Failure])[] = []) {
    this.failures = [...failures];
  }

  /** The next item has failed. */
  fail(thrown: unknown): void {
    this.failures.push([this.values.length, pack(thrown)]);
    this.values.push(undefined);
  }

  plain(): Batch {
    return [this.values, this.failures];
  }

  /**
   * Runs the function on one item after another, a sync one without a turn of the event loop, as long as `begins` lets it.
   * `begins` is called before each.
   */
  run(
    call: Callable,
    items: readonly unknown[],
    isGoingOn: () => boolean,
    begins: (index: number) => void,
  ): Many | Promise<Many> {
    while (this.values.length < items.length && isGoingOn()) {
      begins(this.values.length);
      try {
        const result = call(items[this.values.length]);
        if (isThenable(result)) return this.#awaited(result).then(() => this.run(call, items, isGoingOn, begins));
        this.values.push(result);
      } catch (thrown) {
        this.fail(thrown);
      }
    }
    return this;
  }

  async #awaited(result: PromiseLike<unknown>): Promise<void> {
    try {
      this.values.push(await result);
    } catch (thrown) {
      this.fail(thrown);
    }
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  return typeof (value as { then?: unknown }).then === 'function';
}
