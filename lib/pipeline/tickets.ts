/**
 * Tickets: how the source of a pipeline learns that all which came of some items of its queue was accepted at the other end, so
 * that these may be acknowledged there. As in Apache Storm, where each stage tells an acker what it made of what; tickets are
 * counted here, not combined, since the reports of all threads go through one queue and have an order.
 *
 * Take   1. the source gives each batch of items that it takes a ticket, and holds that until it has given them all
 * Send   2. a message carries the ticket of the items that its records came of; whoever sends one holds its ticket once more
 * Give   3. whoever is through with a message, and has sent what came of it, releases its ticket; a sink when it has
 *           accepted the records
 * Group  4. records that are grouped travel on with the ticket of the last one. A group holds the tickets of its records; those of
 *           the others then follow that one, and are released with it
 * Done   5. a ticket that nobody holds is done
 *
 * Invariant: "held once more" is in the queue of reports before the message can be taken, so before its "released"; and the
 * sender's own hold is released after that. So a count of 0 is final, and no record of that ticket is anywhere.
 */
import { ClosedError } from '../memory/errors.ts';
import { codec } from '../queue/codec.ts';
import type { Queue } from '../queue/queue.ts';
import type { Struct } from '../queue/struct.ts';
import { type Report, STOPPED } from './line.ts';

/** A promise where something has to wait in one. */
export type Later = Promise<void> | undefined;

/** Does it when the promise is kept, or at once if there is none. */
export function after(later: Later, next: () => Later): Later {
  return later ? later.then(next) : next();
}

const HOLD = 0;
const RELEASE = 1;
const FOLLOW = 2;

/** How reports travel: codec.struct. */
export const reports: Struct<Report> = codec.struct({ what: 'u8', ticket: 'u32', lead: 'u32' });

/** What one thread reports. A pipeline whose source is no queue has no tickets, and nothing happens. */
export class Tickets {
  readonly #reports: Queue<Report> | undefined;

  constructor(reports: Queue<Report> | undefined) {
    this.#reports = reports;
  }

  get used(): boolean {
    return this.#reports !== undefined;
  }

  /** `patient`, here and below: whether to wait for room in a promise. Throws STOPPED. */
  hold(ticket: number, patient: boolean): Later {
    return this.#report({ what: HOLD, ticket, lead: 0 }, patient);
  }

  release(ticket: number, patient: boolean): Later {
    return this.#report({ what: RELEASE, ticket, lead: 0 }, patient);
  }

  /** One hold of a ticket is released when `lead`, which is held, is done. */
  follow(ticket: number, lead: number, patient: boolean): Later {
    return this.#report({ what: FOLLOW, ticket, lead }, patient);
  }

  #report(report: Report, patient: boolean): Later {
    try {
      if (!this.#reports || this.#reports.tryPut(report)) return undefined;
      if (patient) return this.#reports.putAsync(report).catch(stopped);
      this.#reports.put(report);
      return undefined;
    } catch (error) {
      return stopped(error);
    }
  }
}

/** The reports are closed by a stop only. */
function stopped(error: unknown): never {
  throw error instanceof ClosedError ? STOPPED : error;
}

/** A batch of items on its way through the pipeline. */
interface Entry {
  holds: number;
  readonly items: number;
  readonly followers: number[];
  readonly batch: Batch;
}

/** Items that were taken from a queue together. */
export interface Batch {
  readonly value: readonly unknown[];
  done(): void | Promise<void>;
  giveBack(): void | Promise<void>;
}

const MANY = 256;

/** The counts of all tickets, in the thread of the source. */
export class Ledger {
  readonly #reports: Queue<Report>;
  readonly #open = new Map<number, Entry>();
  readonly #ending = new Set<Promise<void>>();
  #next = 0;
  #items = 0;
  #tell: () => void = () => {};

  constructor(reports: Queue<Report>) {
    this.#reports = reports;
  }

  /** A ticket for a batch; it is held. */
  open(batch: Batch): number {
    const ticket = this.#next;
    this.#next = (ticket + 1) >>> 0;
    const items = batch.value.length;
    this.#items += items;
    this.#open.set(ticket, { holds: 1, items, followers: [], batch });
    return ticket;
  }

  get isEmpty(): boolean {
    return this.#items === 0;
  }

  /** Resolves when at most so many items are in hand, their acknowledgement included. Rejects when the signal aborts. */
  async downTo(items: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#items <= items) return;
    await new Promise<void>((resolve, reject) => {
      const abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      this.#tell = () => {
        if (this.#items > items) return;
        signal.removeEventListener('abort', abort);
        resolve();
      };
    });
  }

  /** Counts until the pipeline has ended and all reports are read; then gives back what was not done. Never rejects. */
  async settle(): Promise<void> {
    try {
      for (;;) for (const report of await this.#reports.getManyAsync(MANY)) this.#note(report);
    } catch {
      // they are closed, or, after a death, gone
    }
    for (const { batch } of this.#open.values()) this.#end(0, () => batch.giveBack());
    this.#open.clear();
    await Promise.all(this.#ending);
  }

  #note({ what, ticket, lead }: Report): void {
    const entry = this.#open.get(ticket);
    if (!entry) return;
    if (what === HOLD) entry.holds++;
    else if (what === FOLLOW) this.#open.get(lead)?.followers.push(ticket);
    else this.#release(ticket, entry);
  }

  #release(ticket: number, entry: Entry): void {
    if (--entry.holds > 0) return;
    this.#open.delete(ticket);
    this.#end(entry.items, () => entry.batch.done());
    for (const follower of entry.followers) this.#note({ what: RELEASE, ticket: follower, lead: 0 });
  }

  /** An acknowledgement that fails is no failure of the pipeline: the items come again, and the next take tells why. */
  #end(items: number, how: () => void | Promise<void>): void {
    const ending = (async () => how())()
      .catch(() => {})
      .then(() => {
        this.#items -= items;
        this.#ending.delete(ending);
        this.#tell();
      });
    this.#ending.add(ending);
  }
}
