/**
 * The queue between two stages, as the threads of both use it: messages, the end, and the stop.
 *
 * The end is one mark: whoever is the last of its producers closes the queue, and its consumers drain it. A stop comes from
 * the thread that has the pipeline: it sets the event, then closes every queue, so that whoever waits is woken and sees it.
 */
import { ClosedError, InvalidHandleError } from '../memory/errors.ts';
import type { Known } from '../queue/known.ts';
import type { Queue } from '../queue/queue.ts';
import type { Event } from '../sync/event.ts';
import type { Value } from '../sync/value.ts';
import type { Chunk } from './form.ts';
import { countOf, recycle } from './message.ts';
import { Pace } from './pace.ts';

/** Thrown in a thread whose pipeline was stopped, also through the function of a sink; it never leaves that thread. */
export const STOPPED: ClosedError = new ClosedError('the pipeline, which was stopped,');

/** What the threads on both sides share. */
export interface Line {
  readonly queue: Queue<Chunk>;
  /** Producers that have not ended. */
  readonly producers: Value<'i32'>;
  readonly stopped: Event;
  /** The codec of the records. */
  readonly codec: Known;
  /** How deep those lie in arrays: a record is one of them at 0. */
  readonly groups: number;
  /** Threads that take from it. */
  readonly consumers: number;
  /** Most records of a message. */
  readonly records: number;
  /** Bytes that a message should not have more of. */
  readonly bytes: number;
  /** Where it is said what became of the items of a source that is a queue: see tickets.ts. */
  readonly reports: Queue<Report> | undefined;
}

/** What a thread says of a ticket. */
export interface Report {
  readonly what: number;
  readonly ticket: number;
  /** The ticket that it follows. */
  readonly lead: number;
}

/** A stop shows itself as one of these, at whatever the thread was about to use. */
function isStop(error: unknown): boolean {
  return error instanceof ClosedError || error instanceof InvalidHandleError;
}

// A message is worth more than a wake-up, so whoever has to wait for one, or for room, sleeps at once and looks no more: where
// there are more threads than cores, looking takes a core from those that work. And whoever waited for room is woken when
// half of it is free: else it would be woken for each message, and sleep again after it. What Pace does for consumers.

/** Puts messages into a line. */
export class Sender {
  readonly #line: Line;
  /** Hears for how many milliseconds there was no room. */
  readonly #waited: (milliseconds: number) => void;
  /** Whether it waits in a promise and does not block the thread. */
  patient = false;

  constructor(line: Line, waited: (milliseconds: number) => void = () => {}) {
    this.#line = line;
    this.#waited = waited;
  }

  /** Sends a message, whose memory is given back, and returns a promise where it has to wait in one. Throws STOPPED. */
  send(message: Chunk): Promise<void> | undefined {
    try {
      const { queue } = this.#line;
      if (queue.full || !queue.tryPut(message)) {
        const from = performance.now();
        if (this.patient) return this.#sendLater(message, from);
        queue.puts.putPatiently(message);
        this.#waited(performance.now() - from);
      }
      recycle(message);
      return undefined;
    } catch (error) {
      throw isStop(error) ? STOPPED : error;
    }
  }

  /** Says that this producer has ended; the last one closes the line. */
  end(): void {
    try {
      if (this.#line.producers.add(-1) === 1) this.#line.queue.close();
    } catch (error) {
      if (!isStop(error)) throw error;
    }
  }

  async #sendLater(message: Chunk, from: number): Promise<void> {
    try {
      await this.#line.queue.putAsync(message);
      recycle(message);
      this.#waited(performance.now() - from);
    } catch (error) {
      throw isStop(error) ? STOPPED : error;
    }
  }
}

/** Takes messages out of a line. */
export class Receiver {
  readonly #line: Line;
  /** Of the only consumer: several would take each other's messages while one dozes. */
  readonly #pace: Pace | undefined;
  /** Whether it waits in a promise and does not block the thread. */
  patient = false;

  constructor(line: Line) {
    this.#line = line;
    this.#pace = line.consumers === 1 ? new Pace(performance.now()) : undefined;
    line.queue.gets.wakeLate();
  }

  /** A message that is there now. Throws STOPPED. */
  tryTake(): Chunk | undefined {
    try {
      return this.#took(this.#line.queue.tryGet());
    } catch (error) {
      return this.#over(error);
    }
  }

  /** The next message, or nothing after the last one; blocks. Throws STOPPED. */
  takeNow(): Chunk | undefined {
    try {
      return this.#took(this.#next());
    } catch (error) {
      return this.#over(error);
    }
  }

  #next(): Chunk {
    const { queue } = this.#line;
    const message = queue.tryGet();
    if (message) return message;
    const doze = this.#pace?.none(performance.now(), queue.capacity) ?? 0;
    if (doze > 0) queue.region.parker.doze(doze);
    return queue.gets.getPatiently();
  }

  #took(message: Chunk | undefined): Chunk | undefined {
    if (message) this.#pace?.took(countOf(message));
    return message;
  }

  /** The next message, or nothing after the last one; blocks, or waits in the promise. Throws STOPPED. */
  async take(): Promise<Chunk | undefined> {
    if (!this.patient) return this.takeNow();
    try {
      return await this.#line.queue.getAsync();
    } catch (error) {
      return this.#over(error);
    }
  }

  #over(error: unknown): undefined {
    if (!isStop(error) || isStopped(this.#line)) throw isStop(error) ? STOPPED : error;
    return undefined;
  }
}

/** Whether the pipeline was stopped. */
export function isStopped({ stopped }: Line): boolean {
  try {
    return stopped.isSet;
  } catch {
    return true; // it was freed
  }
}

/** Aborts with STOPPED when the pipeline is stopped, for what waits elsewhere. It keeps its thread alive. */
export function stopSignal({ stopped }: Line): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort(STOPPED);
  stopped.waitAsync().then(abort, abort);
  return controller.signal;
}
