/**
 * Turns: how several threads give their output in the order of their input.
 *
 * Take  1. a thread takes a message, whose number is s; messages are taken in the order of their numbers
 * Hold  2. it works, and keeps what comes out until its turn is s; meanwhile it may take further ones, up to HELD of them
 * Pass  3. it sends what it kept, and makes s + 1 the turn
 *
 * Invariants: only the thread whose turn it is sends, so that the line has the order of the input, and only it numbers what
 * it sends. A thread that holds something does not sleep for input before its turn has come. So the least number that has
 * not been sent is always at work or about to be sent, and nobody waits for ever. What is held is bounded: HELD messages, and
 * one at work, for each thread; a message at work that has grown beyond LINE.bytes waits for its turn before it goes on.
 */
import { OwnerDiedError } from '../memory/errors.ts';
import { Condition } from '../sync/condition.ts';
import type { Mutex } from '../sync/mutex.ts';
import { isStopped, type Line, STOPPED } from './line.ts';
import type { Numbers } from './message.ts';

const TURN = 0;
const SEQUENCE = 1;
const FIRST = 2;
const WORDS = 3;

/** What the threads of one ordered stage share. */
export interface TurnWords {
  readonly changed: Condition;
  /** Guarded by the mutex of `changed`. */
  readonly words: Float64Array;
}

export function newTurns(mutex: Mutex): TurnWords {
  const { region } = mutex;
  return { changed: new Condition({ mutex, region }), words: new Float64Array(new SharedArrayBuffer(WORDS * 8)) };
}

/** The turns, as one of these threads sees them. */
export class Turns {
  readonly #changed: Condition;
  readonly #words: Float64Array;
  readonly #line: Line;

  constructor({ changed, words }: TurnWords, line: Line) {
    this.#changed = changed;
    this.#words = words;
    this.#line = line;
  }

  /** Whether it is the turn of message `sequence`. */
  is(sequence: number): boolean {
    return this.#guarded(() => this.#changed.mutex.with(() => this.#words[TURN] === sequence));
  }

  /** Blocks until it is. Throws STOPPED. */
  wait(sequence: number): void {
    this.#guarded(() => this.#changed.mutex.with(() => this.#changed.waitFor(() => this.#isOrStopped(sequence))));
    if (isStopped(this.#line)) throw STOPPED;
  }

  /** As `wait`, in a promise. */
  async waitAsync(sequence: number): Promise<void> {
    try {
      const changed = this.#changed;
      await changed.mutex.withAsync(() => changed.waitForAsync(() => this.#isOrStopped(sequence)));
    } catch (error) {
      throw this.#reason(error);
    }
    if (isStopped(this.#line)) throw STOPPED;
  }

  /** The numbers of a message of `count` records that is sent now; only for the thread whose turn it is. */
  number(count: number): Numbers {
    const [, sequence = 0, first = 0] = this.#words;
    this.#words[SEQUENCE] = sequence + 1;
    this.#words[FIRST] = first + count;
    return { sequence, first };
  }

  /** Passes the turn on. */
  pass(): void {
    this.#guarded(() => {
      this.#changed.mutex.with(() => {
        this.#words[TURN] = (this.#words[TURN] as number) + 1;
        this.#changed.notifyAll();
      });
    });
  }

  #isOrStopped(sequence: number): boolean {
    return this.#words[TURN] === sequence || isStopped(this.#line);
  }

  #guarded<R>(work: () => R): R {
    try {
      return work();
    } catch (error) {
      throw this.#reason(error);
    }
  }

  /** Another thread died with the mutex: the thread that has the pipeline hears of that, and stops it. */
  #reason(error: unknown): unknown {
    return error instanceof OwnerDiedError || isStopped(this.#line) ? STOPPED : error;
  }
}

/** Wakes all who wait for their turn, once the pipeline was stopped, whoever died with the mutex. */
export async function wakeTurns({ changed }: TurnWords): Promise<void> {
  const mutex = changed.mutex as Mutex;
  for (;;) {
    try {
      return await mutex.withAsync(() => changed.notifyAll());
    } catch (error) {
      if (!(error instanceof OwnerDiedError)) throw error;
      mutex.recover(() => {});
    }
  }
}
