import { add, type Gauge, type Gauges, IN, RECORD, Stopwatch } from './gauge.ts';
import type { Inlet } from './inlet.ts';
import type { Message } from './message.ts';

/**
 * The records of an inlet, for whoever goes through them by himself: once, by `for of`, which blocks the thread, or by
 * `for await`, which does not.
 */
export class Records<T = unknown> {
  readonly #inlet: Inlet;
  readonly #gauge: Gauge;
  readonly #watch: Stopwatch;

  constructor(inlet: Inlet, gauge: Gauge, times: Gauges['times']) {
    this.#inlet = inlet;
    this.#gauge = gauge;
    this.#watch = new Stopwatch(gauge, times, false);
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let message = this.#inlet.takeNow(); message; message = this.#inlet.takeNow()) {
      yield* this.#of(message);
      this.#inlet.accept(message);
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    this.#inlet.patient = true;
    for (let message = await this.#inlet.take(); message; message = await this.#inlet.take()) {
      for (const record of this.#of(message)) yield record;
      await this.#inlet.accept(message);
    }
  }

  *#of(message: Message): Generator<T, void, undefined> {
    this.#watch.begin();
    while (message.more) {
      this.#gauge[RECORD] = message.record;
      add(this.#gauge, IN, 1);
      yield message.next() as T;
      this.#watch.leave();
    }
    this.#watch.end(message.count);
  }
}
