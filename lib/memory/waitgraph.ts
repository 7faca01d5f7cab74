/**
 * Wait graph: which thread waits for whom, and the deadlock that a wait would close.
 *
 * Source: the wait-for graph of Holt, "Some Deadlock Properties of Computer Systems" (1972); register first and look then,
 * Dekker. A thread that blocks without a timeout waits for every owner of its object; what has no owner, what has a timeout
 * and what promises wait for leads nowhere. Words: ../kernel/waits.ts; owners of each kind: kinds.ts.
 *
 * Begin  1. publish my wait, with a new ticket  2. before each park, look
 * Look   1. go from my object to its owners, from those that block to their objects, and so on, each thread once
 *        2. at a thread whose ticket is higher than mine go no further, and wake it: it looks, too
 *        3. back at me: read owners and tickets of the cycle again, since a lock may have been freed meanwhile; else from 1
 *        4. the deadlock is mine to report: the others of it have lower tickets
 *
 * Invariants. Exact: who has a lower ticket and still waits when I read it has been blocked since before I took mine, and
 * neither took nor let go of anything since, so all that I read of the cycle was so at one instant; but for the object that it
 * waits for, which it may be getting, or trying: so it does not count as an owner of that. Never missed: of the
 * threads of a cycle the last to publish looks when the cycle is there; it follows it back to itself, or to a higher
 * ticket, whose thread looks again, up to the highest. Reported once: only the highest ticket of a cycle reports it.
 */
import {
  OBJECT_KIND,
  OBJECT_SERIAL,
  THREAD_BYTES,
  THREAD_NAME,
  THREAD_WAIT_ENDLESS,
  THREAD_WAIT_OBJECT,
  THREAD_WAIT_SERIAL,
  THREAD_WAIT_SET,
} from '../kernel/layout.ts';
import type { Kernel } from './kernel.ts';
import { KINDS, readName, titleOf } from './kinds.ts';

/** A thread that blocks, and on what. */
export interface Wait {
  readonly slot: number;
  readonly ticket: number;
  readonly object: number;
  readonly serial: number;
  /** The wait set, as an offset in the object. */
  readonly set: number;
  readonly endless: boolean;
  /** Since when, as `Date.now()`. */
  readonly since: number;
}

/** The waits of the threads of one region, as the thread in `slot` sees them. */
export class WaitGraph {
  readonly #kernel: Kernel;
  readonly #buffer: Buffer;
  readonly #threadsAt: number;
  readonly #threads: number;
  readonly #slot: number;

  constructor(kernel: Kernel, memory: ArrayBufferLike, threadsAt: number, threads: number, slot: number) {
    this.#kernel = kernel;
    this.#buffer = Buffer.from(memory as ArrayBuffer);
    this.#threadsAt = threadsAt;
    this.#threads = threads;
    this.#slot = slot;
  }

  /** Publishes that this thread blocks on the object. */
  begin(object: { readonly offset: number; readonly serial: number }, set: number, endless: boolean): void {
    const { offset, serial } = object;
    this.#kernel.waitBegin(this.#record(this.#slot), offset, serial, set - offset, Number(endless), Date.now());
  }

  end(): void {
    this.#kernel.waitEnd(this.#record(this.#slot));
  }

  /** What the thread in `slot` blocks on; undefined when it does not, or not for the time of a look. */
  read(slot: number): Wait | undefined {
    if (slot < 0 || slot >= this.#threads) return undefined;
    const record = this.#record(slot);
    const ticket = this.#kernel.waitTicket(record);
    if (ticket === 0) return undefined;
    const word = (at: number) => this.#kernel.peek(record + at);
    const wait = {
      slot,
      ticket,
      object: word(THREAD_WAIT_OBJECT),
      serial: word(THREAD_WAIT_SERIAL),
      set: word(THREAD_WAIT_SET),
      endless: word(THREAD_WAIT_ENDLESS) !== 0,
      since: this.#kernel.waitSince(record),
    };
    return this.#lasts(wait) ? wait : undefined;
  }

  /** The deadlock that this thread's wait has closed and that it has to report, in words; `wake` is told who else has to look. */
  deadlock(wake: (slot: number) => void): string | undefined {
    const mine = this.read(this.#slot);
    while (mine) {
      const cycle = this.#cycle(mine, wake);
      if (!cycle) return undefined;
      if (this.#stands(cycle)) return this.#inWords(cycle);
    }
    return undefined;
  }

  /** The waits from mine back to me, if mine is the youngest of them. */
  #cycle(mine: Wait, wake: (slot: number) => void): Wait[] | undefined {
    const seen = new Set<number>();
    const path: Wait[] = [];
    const leadsBack = (wait: Wait): boolean => {
      path.push(wait);
      for (const owner of this.#owners(wait)) {
        if (owner === mine.slot) return true;
        if (seen.has(owner)) continue;
        seen.add(owner);
        const next = this.read(owner);
        if (!next?.endless) continue;
        if (next.ticket > mine.ticket) wake(owner);
        else if (leadsBack(next)) return true;
      }
      path.pop();
      return false;
    };
    return leadsBack(mine) ? path : undefined;
  }

  /** Whether it is still there: freeing a lock and repairs after a death are all that can end it. */
  #stands(cycle: readonly Wait[]): boolean {
    const next = (at: number) => cycle[(at + 1) % cycle.length]?.slot ?? -1;
    return cycle.every((wait, at) => this.#owners(wait).includes(next(at))) && cycle.every((wait) => this.#lasts(wait));
  }

  #lasts({ slot, ticket }: Pick<Wait, 'slot' | 'ticket'>): boolean {
    return this.#kernel.waitTicket(this.#record(slot)) === ticket;
  }

  #owners({ object, serial, set }: Wait): readonly number[] {
    const lives = () => this.#kernel.peek(object + OBJECT_SERIAL) === serial;
    if (!lives()) return [];
    const kind = KINDS[this.#kernel.peek(object + OBJECT_KIND)];
    const owners = kind
      ?.owners?.(this.#kernel, object, set)
      .filter((slot) => !this.#enters(slot, object, kind.ownerSet));
    return lives() ? (owners ?? []) : [];
  }

  /** Whether a thread that seems to own the object has just got it and will go on, or takes back a try: it waits for it still. */
  #enters(slot: number, object: number, ownerSet: number | undefined): boolean {
    const wait = this.read(slot);
    return wait?.object === object && wait.set !== ownerSet;
  }

  #inWords(cycle: readonly Wait[]): string {
    const steps = cycle.map((wait, at) => {
      const owner = cycle[(at + 1) % cycle.length] ?? wait;
      const title = titleOf(this.#kernel, this.#buffer, wait.object);
      return `${this.nameOf(wait.slot)} waits for ${title}, held by ${this.nameOf(owner.slot)}`;
    });
    return `deadlock of ${cycle.length} threads: ${steps.join('; ')}`;
  }

  /** A thread's name and slot, for messages. */
  nameOf(slot: number): string {
    const name = readName(this.#buffer, this.#record(slot) + THREAD_NAME);
    return name ? `${name} (slot ${slot})` : `the thread in slot ${slot}`;
  }

  #record(slot: number): number {
    return this.#threadsAt + slot * THREAD_BYTES;
  }
}
