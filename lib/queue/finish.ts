/** Finish: which items of a queue are dealt with, and who waits until all are. */
import { BUSY, QUEUE_GETTERS, QUEUE_JOINERS, WAKE } from '../kernel/layout.ts';
import { ThreadDiedError } from '../memory/errors.ts';
import type { SharedObject } from '../memory/handles.ts';
import { AGAIN, type Operation } from '../memory/wait.ts';
import type { Deliveries } from './redelivery.ts';

type Acknowledged = Pick<Deliveries<unknown>, 'acknowledge' | 'acknowledgeable' | 'mine' | 'settled'>;

/** For one thread. */
export class Finish {
  readonly #queue: SharedObject & { readonly closed: boolean };
  readonly #deliveries: Acknowledged | undefined;
  #mourned = 0; // the death of which a join of this thread has heard

  constructor(queue: SharedObject & { readonly closed: boolean }, deliveries: Acknowledged | undefined) {
    this.#queue = queue;
    this.#deliveries = deliveries;
  }

  /** `n` items are dealt with. Throws RangeError when there are not so many. */
  done(n: number): void {
    const { region, offset, title } = this.#queue;
    region.check(this.#queue);
    if (this.#deliveries) {
      this.#acknowledge(this.#deliveries, n);
      return;
    }
    const said = region.kernel.ringFinish(offset, n);
    if (said === BUSY) {
      const open = region.kernel.ringUnfinished(offset);
      throw new RangeError(`n must be at most the items of ${title} that are not done: got ${n}, there are ${open}`);
    }
    if (said === WAKE) region.parker.wakeAll(offset + QUEUE_JOINERS);
  }

  #acknowledge(deliveries: Acknowledged, n: number): void {
    const { acknowledgeable } = deliveries;
    if (acknowledgeable < n) {
      const open = `there are ${acknowledgeable}`;
      throw new RangeError(
        `n must be at most the items of ${this.#queue.title} that this thread has taken: got ${n}, ${open}`,
      );
    }
    deliveries.acknowledge(n);
    if (deliveries.mine === 0) this.settle();
  }

  /** Some were acknowledged: whoever acknowledges the last item of all sees both, and wakes those who wait for that. */
  settle(): void {
    const { region, offset } = this.#queue;
    if (!this.#deliveries || region.kernel.ringSize(offset) > 0) return;
    const [joiners, getters] = [offset + QUEUE_JOINERS, offset + QUEUE_GETTERS];
    for (const set of [joiners, getters]) {
      if (region.kernel.waiting(set) && (set !== getters || this.#queue.closed)) region.parker.wakeAll(set);
    }
  }

  /** The operation of a join. */
  joining(): Operation<void> {
    const { region, offset, title } = this.#queue;
    return {
      what: `join of ${title}`,
      object: this.#queue,
      set: offset + QUEUE_JOINERS,
      attempt: () => {
        region.check(this.#queue);
        const settled = this.#deliveries?.settled ?? region.kernel.ringUnfinished(offset) === 0;
        if (!settled) this.#mourn();
        return settled ? undefined : AGAIN;
      },
      passOn: () => false,
    };
  }

  /** Throws once for each death after which a `join` may wait for ever. */
  #mourn(): void {
    const { region, offset, title } = this.#queue;
    const death = region.kernel.ringBereft(offset);
    if (death === 0 || death === this.#mourned) return;
    this.#mourned = death;
    const open = region.kernel.ringUnfinished(offset) - region.kernel.ringSize(offset);
    throw new ThreadDiedError(
      `a thread died while items of ${title} were taken and not done, of which there are ${open}: ` +
        'without { redeliver: true } those that it had are lost',
    );
  }
}
