/**
 * Line: the waiters of this thread at one condition whom nobody has notified, the one that blocks the thread and promises.
 *
 * Notifications are counted for a thread, and dealt out here: to the waiter that blocks first, since promises could not go on
 * meanwhile, then in the order in which they came.
 */
import type { Place, Region } from '../memory/region.ts';

export interface Waiter {
  notified: boolean;
}

/** By region and serial: a thread may have several handles of one condition. They live as long as one of the handles. */
const lines = new WeakMap<Region, Map<number, WeakRef<Line>>>();

export class Line {
  #blocked: Waiter | undefined;
  readonly #promises = new Set<Waiter>();

  /** The line of this thread at a condition. */
  static of({ region, serial }: Place): Line {
    const known = lines.get(region) ?? new Map<number, WeakRef<Line>>();
    lines.set(region, known);
    const line = known.get(serial)?.deref() ?? new Line();
    for (const [other, held] of known) if (!held.deref()) known.delete(other);
    known.set(serial, new WeakRef(line));
    return line;
  }

  join(blocks: boolean): Waiter {
    const waiter = { notified: false };
    if (blocks) this.#blocked = waiter;
    else this.#promises.add(waiter);
    return waiter;
  }

  leave(waiter: Waiter): void {
    if (this.#blocked === waiter) this.#blocked = undefined;
    this.#promises.delete(waiter);
  }

  notify(): void {
    const [first] = this.#blocked ? [this.#blocked] : this.#promises;
    if (!first) return;
    first.notified = true;
    this.leave(first);
  }
}
