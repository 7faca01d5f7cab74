import {
  LINE_SEEKING,
  LINE_SLOT,
  LINE_TAKEN,
  NO_TASK,
  NOT_ENDED,
  TASK_ABORTED,
  TASK_BEGUN,
  TASK_CANCELLED,
  TASK_FREE,
  TASK_PHASE,
  TASK_PLACE_SHIFT,
  TASK_QUEUED,
  TASK_STATE,
  TASK_STATUS,
  THREAD_MAIL,
} from '../kernel/layout.ts';
import type { Table } from './table.ts';
import type { Task } from './threads.ts';

/** A task, from `run` until its record is free. */
export interface Job {
  readonly task: Task;
  readonly since: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
  /** The number of its record. */
  number: number;
  /** Nobody waits for it any more. */
  settled: boolean;
  /** Threads that died when they had taken it and not begun it. */
  deaths: number;
}

/** What a thread that is gone had taken: each by its number. */
export interface Remains {
  /** Begun, and not ended. */
  readonly begun: readonly number[];
  /** Ended: it died before it put them into the ring of results. */
  readonly ended: readonly number[];
  /** Taken, and not begun. */
  readonly lost: readonly number[];
}

/** The tasks that have a record in the table, by its number. */
export class Jobs {
  readonly #table: Table;
  readonly #jobs: (Job | undefined)[] = [];
  readonly #free: number[] = [];
  #open = 0;

  constructor(table: Table) {
    this.#table = table;
    for (let number = table.count - 1; number >= 0; number--) this.#free.push(number);
  }

  /** How many there are. */
  get open(): number {
    return this.#open;
  }

  /** The number of a record for one more; the turnstile lets in no more than there are. */
  take(): number {
    return this.#free.pop() as number;
  }

  /** A number that was taken for nothing. */
  giveBack(number: number): void {
    this.#table.freePieces(this.#table.record(number));
    this.#free.push(number);
  }

  add(number: number, job: Job): void {
    job.number = number;
    this.#jobs[number] = job;
    this.#open++;
  }

  at(number: number): Job | undefined {
    return this.#jobs[number];
  }

  /** Its record is free from here on. */
  remove(number: number): void {
    const record = this.#table.record(number);
    this.#table.freePieces(record);
    this.#table.region.i32[(record + TASK_STATE) >> 2] = TASK_FREE;
    this.#jobs[number] = undefined;
    this.#free.push(number);
    this.#open--;
  }

  /** How many are waited for and no thread has begun. */
  get queued(): number {
    let queued = 0;
    for (const job of this.#jobs) if (job && !job.settled && this.phase(job.number) === TASK_QUEUED) queued++;
    return queued;
  }

  /** How many threads run one. */
  get busy(): number {
    const busy = new Set<number>();
    for (const job of this.#jobs) if (job && this.#isBegun(job.number)) busy.add(this.#place(job.number));
    return busy.size;
  }

  /** What the thread in `place` had taken, which is gone; its results are taken from the ring before. */
  remainsOf(place: number): Remains {
    const begun: number[] = [];
    const ended: number[] = [];
    for (const job of this.#jobs) {
      if (!job || this.#place(job.number) !== place || !this.#isBegun(job.number)) continue;
      const of = this.word(job.number, TASK_STATUS) === NOT_ENDED ? begun : ended;
      of.push(job.number);
    }
    return { begun, ended, lost: this.#takenBy(this.#table.line(place)).filter((number) => this.#isWaiting(number)) };
  }

  /** What the line of a dead thread says that it had taken from the ring and not begun. */
  #takenBy(line: number): number[] {
    const { i32, threads } = this.#table.region;
    const taken = (i32[(line + LINE_TAKEN) >> 2] as number) - 1;
    if (i32[(line + LINE_SEEKING) >> 2] === 0) return taken === NO_TASK ? [] : [taken];
    const mail = (threads.recordOf((i32[(line + LINE_SLOT) >> 2] as number) - 1) + THREAD_MAIL) >> 2;
    return i32[mail] === NO_TASK ? [] : [i32[mail] as number];
  }

  #isWaiting(number: number): boolean {
    const phase = this.#jobs[number] ? this.phase(number) : TASK_FREE;
    return phase === TASK_QUEUED || phase === TASK_CANCELLED;
  }

  #isBegun(number: number): boolean {
    const phase = this.phase(number);
    return phase === TASK_BEGUN || phase === TASK_ABORTED;
  }

  /** The place of the thread that has begun it. */
  #place(number: number): number {
    return this.#state(number) >> TASK_PLACE_SHIFT;
  }

  phase(number: number): number {
    return this.#state(number) & TASK_PHASE;
  }

  #state(number: number): number {
    return this.#table.region.kernel.valueLoad(this.#table.record(number));
  }

  /** A word of its record. */
  word(number: number, word: number): number {
    return this.#table.region.i32[(this.#table.record(number) + word) >> 2] as number;
  }
}
