import { add, type Gauge, type Gauged, IN, RECORD, Stopwatch } from './gauge.ts';
import type { Inlet } from './inlet.ts';
import type { Message } from './message.ts';
import type { Later } from './tickets.ts';

/**
 * The records of an inlet, for whoever goes through them by himself: once, by `for of`, which blocks the thread, or by
 * `for await`, which does not.
 */
export class Records<T = unknown> {
  readonly #inlet: Inlet;
  readonly #gauge: Gauge;
  readonly #watch: Stopwatch;
  #message: Message | undefined;
  #accepted: Later;

  constructor(inlet: Inlet, gauged: Gauged) {
    this.#inlet = inlet;
    this.#gauge = gauged.gauge;
    this.#watch = new Stopwatch(gauged, false);
  }

  /** Written out, since for tiny records a generator costs as much as all the rest. */
  [Symbol.iterator](): IterableIterator<T> {
    const iterator: IterableIterator<T> = {
      next: () => {
        if (!this.#goesOn() && !this.#begin(this.#inlet.takeNow())) return { done: true, value: undefined };
        return { done: false, value: this.#next() };
      },
      [Symbol.iterator]: () => iterator,
    };
    return iterator;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    this.#inlet.patient = true;
    for (;;) {
      if (!this.#goesOn()) {
        await this.#accepted;
        if (!this.#begin(await this.#inlet.take())) return;
      }
      yield this.#next();
    }
  }

  /** Ends the record before; whether its message has another one. */
  #goesOn(): boolean {
    const message = this.#message;
    if (!message) return false;
    message.over();
    this.#watch.leave();
    if (message.more) return true;
    this.#watch.end(message.count);
    message.recycle();
    this.#message = undefined;
    this.#accepted = this.#inlet.accept(message);
    return false;
  }

  #begin(message: Message | undefined): boolean {
    this.#message = message;
    if (message) this.#watch.begin();
    return message !== undefined;
  }

  #next(): T {
    const message = this.#message as Message;
    this.#gauge[RECORD] = message.record;
    add(this.#gauge, IN, 1);
    return message.next() as T;
  }
}
