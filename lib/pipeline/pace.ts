/**
 * Pace: for how long a thread that is faster than those before it sleeps by the clock, so that it is woken for several messages.
 *
 * A thread that sleeps in the wait set of its queue is woken by the next message: it interrupts a thread that works, takes a
 * fraction of a millisecond for the message, and sleeps again. So whoever has emptied its queue first dozes for the time in which
 * half of it fills, as it has filled of late; nobody wakes it meanwhile, and nobody has to wait for room.
 *
 * It dozes once, and then waits to be woken: an idle thread looks at nothing. And it does not doze
 * - where the last message was a single record, whose sender had no more or takes long for each
 * - where messages are so rare that it would find one, or so frequent that the queue would be full by the time it gets a core
 * - before it knows the pace: new threads become many times as fast within their first messages
 */
const LONGEST = 8; // ms: two messages of one thread, see SLICE in outlet.ts
const SHORTEST = 1; // ms between two messages
const WARM = 64; // messages
const WEIGHT = 0.3; // of the last messages in the time between two

/** The pace of the messages that one thread takes. */
export class Pace {
  #each = 0; // ms from one to the next, of late
  #since: number;
  #count = 0; // since then
  #all = 0;
  #several = false;

  /** Times are in milliseconds, of any clock. */
  constructor(now: number) {
    this.#since = now;
  }

  /** A message of so many records was taken. */
  took(records: number): void {
    this.#count++;
    this.#all++;
    this.#several = records > 1;
  }

  /** None is there, in a queue for so many: for how many milliseconds to doze. */
  none(now: number, capacity: number): number {
    const each = (now - this.#since) / this.#count;
    this.#since = now;
    if (this.#count === 0) return 0;
    this.#count = 0;
    this.#each += this.#each === 0 ? each : WEIGHT * (each - this.#each);
    const doze = Math.min(LONGEST, this.#each * (capacity >> 1));
    const isWorth = this.#several && this.#all > WARM && this.#each >= SHORTEST && doze >= 2 * this.#each;
    return isWorth ? doze : 0;
  }
}
