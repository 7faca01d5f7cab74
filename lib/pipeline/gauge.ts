import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

// What a thread of a pipeline writes down of itself, for others to read: words of 64 bits in memory of their own, each
// written by one thread only. Who reads them may see them some operations late: they decide the size of a message, what is
// shown, and when a record has been in work for longer than its stage allows.

/** Records that came. */
export const IN = 0;
/** Records that were given on. */
export const OUT = 1;
/** Records that failed and were left out. */
export const FAILED = 2;
/** Milliseconds of work, without waiting. */
export const BUSY = 3;
/** The number of the record in work. */
export const RECORD = 4;
/** When that work began, for stages with a timeout: milliseconds since 1970, 0 between two records. */
export const SINCE = 5;
/** Milliseconds that a record took of late. */
export const COST = 6;
/** Milliseconds that a source waited for room. */
export const WAITED = 7;
/** Words from one thread's to the next one's: twice what they need, so that wherever the first ones lie, no two threads share a line of 64 bytes. */
const WORDS = 16;

/** The words of one thread. */
export type Gauge = Float64Array;

/** What the threads of one stage write down. */
export interface Gauges {
  readonly words: Float64Array;
  readonly times: readonly RecordableHistogram[];
}

/** What one of them writes down. */
export interface Gauged {
  readonly gauge: Gauge;
  /** How long its records took, in nanoseconds: in shared memory, which Node locks for each of them, so each thread has its own. */
  readonly times: RecordableHistogram;
}

const HOUR = 3.6e12; // ns

export function newGauges(threads: number): Gauges {
  const words = new Float64Array(new SharedArrayBuffer(threads * WORDS * 8));
  return { words, times: Array.from({ length: threads }, newTimes) };
}

function newTimes(): RecordableHistogram {
  return createHistogram({ figures: 2, highest: HOUR });
}

/** How long records took in all threads together. */
export function timesOf({ times }: Gauges): RecordableHistogram {
  const [first, ...others] = times as [RecordableHistogram, ...RecordableHistogram[]];
  if (others.length === 0) return first;
  const all = newTimes();
  for (const each of times) all.add(each);
  return all;
}

export function gaugedIn({ words, times }: Gauges, thread: number): Gauged {
  const gauge = words.subarray(thread * WORDS, (thread + 1) * WORDS);
  return { gauge, times: times[thread] as RecordableHistogram };
}

export function add(gauge: Gauge, word: number, n: number): void {
  gauge[word] = (gauge[word] as number) + n;
}

/** One word of all threads together. */
export function sum({ words }: Gauges, word: number): number {
  let total = 0;
  for (let at = word; at < words.length; at += WORDS) total += words[at] as number;
  return total;
}

/** What a record costs in these threads: the mean of those that know it, 0 when none does. */
export function costOf(words: Float64Array): number {
  let total = 0;
  let known = 0;
  for (let at = COST; at < words.length; at += WORDS) {
    const cost = words[at] as number;
    total += cost;
    known += Number(cost > 0);
  }
  return known === 0 ? 0 : total / known;
}

/** Milliseconds on a clock that all threads share. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

const EXACT = 0.005; // ms: records that take less are not timed one by one
const WEIGHT = 0.3; // of the last message in the cost of a record

/** Times the records of one thread. */
export class Stopwatch {
  readonly #gauge: Gauge;
  readonly #times: RecordableHistogram;
  readonly #timed: boolean;
  #began = 0;
  #record = 0;
  #exact = true;

  constructor({ gauge, times }: Gauged, timed: boolean) {
    this.#gauge = gauge;
    this.#times = times;
    this.#timed = timed;
  }

  /** The work on a message begins. */
  begin(): void {
    this.#exact = (this.#gauge[COST] as number) >= EXACT || this.#gauge[COST] === 0;
    this.#began = performance.now();
    this.#record = this.#began;
  }

  /** A record begins. */
  enter(): void {
    if (this.#timed) this.#gauge[SINCE] = now();
  }

  /** So many milliseconds were spent waiting for room, and not at work. */
  skip(milliseconds: number): void {
    this.#began += milliseconds;
    this.#record += milliseconds;
  }

  /** A record has ended. */
  leave(): void {
    if (this.#timed) this.#gauge[SINCE] = 0;
    if (!this.#exact) return;
    const end = performance.now();
    this.#note(end - this.#record);
    this.#record = end;
  }

  /** The work on a message of `count` records has ended. */
  end(count: number): void {
    const spent = Math.max(0, performance.now() - this.#began);
    add(this.#gauge, BUSY, spent);
    if (count === 0) return;
    if (!this.#exact) this.#note(spent / count);
    const before = this.#gauge[COST] as number;
    const cost = Math.max(spent / count, 1e-6);
    this.#gauge[COST] = before === 0 ? cost : before + WEIGHT * (cost - before);
  }

  #note(milliseconds: number): void {
    this.#times.record(Math.max(1, Math.round(milliseconds * 1e6)));
  }
}
