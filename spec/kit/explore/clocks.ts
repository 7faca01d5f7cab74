/**
 * Clocks: which accesses of one run are ordered, and which of them race.
 *
 * Source: vector clocks, Mattern (1989); as in FastTrack, Flanagan and Freund (2009), with an epoch a thread and kind of access.
 *
 * Edges: an atomic read joins what the atomic write left that it reads from; a write of another kind leaves nothing. Sleeping
 * and notifying join the clock of the word's waiter list, and leave theirs (ECMA-262, pull request 1692). Who repairs
 * comes after all that the dead thread did.
 *
 * races.ts sees a race when two accesses are neighbours, which in a search of all runs is every race. Here it is seen in any
 * run in which nothing orders the two, however far apart they are: for random schedules.
 */
import { THREADS } from './ground.ts';
import type { Access, VirtualThread } from './thread.ts';

type Clock = Int32Array;

/** When each thread has last read and written a word, and what the last write left. */
interface Word {
  readonly reads: { readonly atomic: Clock; readonly plain: Clock };
  readonly writes: { readonly atomic: Clock; readonly plain: Clock };
  left: Clock | undefined;
}

const newClock = (): Clock => new Int32Array(THREADS);

function join(into: Clock, from: Clock | undefined): void {
  if (from) for (let i = 0; i < THREADS; i++) into[i] = Math.max(into[i] as number, from[i] as number);
}

export class Clocks {
  readonly #threads: Clock[] = Array.from({ length: THREADS }, newClock);
  readonly #words = new Map<number, Word>();
  readonly #lists = new Map<number, Clock>();

  reset(): void {
    for (const [slot, clock] of this.#threads.entries()) clock.fill(0)[slot] = 1;
    this.#words.clear();
    this.#lists.clear();
  }

  /** A thread that begins after another has died. */
  follow({ slot }: VirtualThread, { slot: dead }: VirtualThread): void {
    join(this.#of(slot), this.#threads[dead]);
  }

  /** A sleep that ends, or a notify. */
  meet({ slot }: VirtualThread, word: number): void {
    const clock = this.#of(slot);
    join(clock, this.#lists.get(word));
    this.#lists.set(word, clock.slice());
    (clock[slot] as number)++;
  }

  /** Enters an access that was made; `wrote` says whether a compare-exchange succeeded. The thread that it races with, or -1. */
  enter({ slot }: VirtualThread, access: Access, wrote: boolean): number {
    const clock = this.#of(slot);
    let other = -1;
    for (let at = access.address; at < access.address + access.size; at += 4) {
      const word = this.#wordAt(at);
      const isRead = access.act !== 'store' && access.act !== 'fill';
      if (isRead && access.atomic) join(clock, word.left);
      if (isRead) other = Math.max(other, this.#conflict(slot, access.atomic, word.writes));
      if (wrote) other = Math.max(other, this.#conflict(slot, access.atomic, word.writes, word.reads));
      const kind = access.atomic ? 'atomic' : 'plain';
      if (isRead) word.reads[kind][slot] = clock[slot] as number;
      if (!wrote) continue;
      word.writes[kind][slot] = clock[slot] as number;
      word.left = access.atomic ? clock.slice() : undefined;
    }
    (clock[slot] as number)++;
    return other;
  }

  /** A thread whose access is not ordered before this one; atomic ones are no conflict of each other. */
  #conflict(slot: number, isAtomic: boolean, ...epochs: readonly { atomic: Clock; plain: Clock }[]): number {
    const clock = this.#of(slot);
    for (const { atomic, plain } of epochs) {
      for (let other = 0; other < THREADS; other++) {
        if (other === slot) continue;
        const known = clock[other] as number;
        if ((plain[other] as number) > known || (!isAtomic && (atomic[other] as number) > known)) return other;
      }
    }
    return -1;
  }

  #of(slot: number): Clock {
    return this.#threads[slot] as Clock;
  }

  #wordAt(address: number): Word {
    let word = this.#words.get(address);
    if (!word) {
      const pair = (): { atomic: Clock; plain: Clock } => ({ atomic: newClock(), plain: newClock() });
      word = { reads: pair(), writes: pair(), left: undefined };
      this.#words.set(address, word);
    }
    return word;
  }
}
