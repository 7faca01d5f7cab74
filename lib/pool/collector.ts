/**
 * Collector: fetches the results of tasks from their ring, as long as somebody waits for one.
 *
 * While tasks are with the threads the event loop is turned again and again, for some tens of microseconds, or for LINGER; when
 * nothing comes the collector waits for the ring, and costs nothing.
 *
 * Turn  1. take a row of results  2. look at the records of all of them: so the processor fetches their lines from the threads'
 *          cores at once, and not one after another  3. settle them  4. was the row full, the code goes on that awaited them, so
 *          that threads do not run out of tasks; then the next row, so many in a turn  5. otherwise the event loop is turned
 * Sleep 1. after some turns without a result, or LINGER if the last sleep was not much longer  2. others are woken for what
 *          waits  3. wait in the ring's set, until a result is there or nothing is open
 */
import { TASK_STATUS } from '../kernel/layout.ts';
import { AGAIN } from '../memory/wait.ts';
import type { Table } from './table.ts';

/** Results that are settled in one turn of the event loop, at the most. */
const SETTLED_IN_A_TURN = 256;
/** Of these, settled in a row. */
const SETTLED_IN_A_ROW = 32;
/** Turns of the event loop without a result, before it sleeps. */
const TURNS = 24;
/** Milliseconds without a result before it sleeps, if the last sleep was not much longer: more than it takes to wake a thread. */
const LINGER = 0.2;
/** After so many of them tasks that wait are given to one more thread. */
const PATIENT_TURNS = 4;

/** For whom results are collected. */
export interface Recipient {
  /** Whether results are waited for. */
  isWaiting(): boolean;
  /** The thread has written this status into the record of the task. */
  conclude(number: number, status: number): void;
  /** No result has come for a while: tasks may wait behind one that takes long. */
  relieve(): void;
}

export class Collector {
  readonly #table: Table;
  readonly #recipient: Recipient;
  /** Tasks that have ended, and how. */
  readonly #row = new Int32Array(SETTLED_IN_A_ROW);
  readonly #statuses = new Int32Array(SETTLED_IN_A_ROW);
  #turning = false;
  #settled = 0;
  #quietTurns = 0;
  #quietSince = 0;
  /** The last sleep was so short that looking for that long pays. */
  #lingers = false;
  #parked = false;
  /** Ends the sleep. */
  #rest = new AbortController();
  #ended = false;

  constructor(table: Table, recipient: Recipient) {
    this.#table = table;
    this.#recipient = recipient;
  }

  /** There is something to wait for. */
  turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    this.#quietTurns = 0;
    setImmediate(this.#pump);
  }

  /** Nothing is open: it need not wait. */
  rest(): void {
    if (this.#parked) this.#rest.abort();
  }

  /** The table will be gone. */
  end(): void {
    this.#ended = true;
    this.rest();
  }

  /** Concludes a row of tasks that have ended; how many. */
  collect(): number {
    const [row, statuses, table] = [this.#row, this.#statuses, this.#table];
    const { i32 } = table.region;
    const count = table.results.takeMany(row);
    for (let i = 0; i < count; i++) statuses[i] = i32[(table.record(row[i] as number) + TASK_STATUS) >> 2] as number;
    for (let i = 0; i < count; i++) this.#recipient.conclude(row[i] as number, statuses[i] as number);
    return count;
  }

  readonly #pump = (): void => {
    this.#turning = false;
    this.#settled = 0;
    this.#settleSome();
  };

  readonly #settleSome = (): void => {
    if (this.#ended) return;
    const row = this.collect();
    this.#settled += row;
    if (row === SETTLED_IN_A_ROW && this.#settled < SETTLED_IN_A_TURN) queueMicrotask(this.#settleSome);
    else this.#goOn();
  };

  #goOn(): void {
    if (!this.#recipient.isWaiting()) return;
    const quiet = this.#settled > 0 ? 0 : this.#quietTurns + 1;
    if (quiet > 0 && quiet % PATIENT_TURNS === 0) this.#recipient.relieve();
    if (quiet === 1) this.#quietSince = performance.now();
    if (quiet > TURNS && !(this.#lingers && performance.now() - this.#quietSince < LINGER)) {
      this.#park();
      return;
    }
    this.turn();
    this.#quietTurns = quiet;
  }

  #park(): void {
    if (this.#parked) return;
    const { results, region } = this.#table;
    this.#recipient.relieve();
    if (this.#rest.signal.aborted) this.#rest = new AbortController();
    this.#parked = true;
    const wait = {
      what: 'wait for a result',
      object: results.queue,
      set: results.takers,
      attempt: () => (results.readable ? true : AGAIN),
      passOn: () => false,
    };
    region.parker.wait(wait, { signal: this.#rest.signal }).then(
      () => {
        this.#parked = false;
        this.#lingers = performance.now() - this.#quietSince < 2 * LINGER;
        this.#quietTurns = 0;
        if (!this.#turning) this.#pump();
      },
      () => {
        this.#parked = false;
      },
    );
  }
}
