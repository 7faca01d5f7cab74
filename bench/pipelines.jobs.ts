import { read as all, locate } from '../examples/cities.worker.ts';
import { type Departure, departure, type Flight, flights } from '../examples/flights.worker.ts';

export { departure, locate };

/** The flights, again and again, until there were `count`. */
export function* fly(count: number): Generator<Flight> {
  const all = flights();
  for (let i = 0; i < count; i++) yield all[i % all.length] as Flight;
}

/** The records of the cities file up to `count`. */
export function cities(count: number): unknown[] {
  return all().slice(0, count);
}

/** How many records came, and the milliseconds from the first one to the last. */
export interface Timed {
  readonly records: number;
  readonly ms: number;
}

/** Takes records and does nothing with them. */
export function timed(records: Iterable<unknown>): Timed {
  let count = 0;
  let begin = 0;
  for (const _ of records) if (count++ === 0) begin = performance.now();
  return { records: count - 1, ms: performance.now() - begin };
}

/** The last stage of the flights: the delay by the hour. */
export function timedByHour(departures: Iterable<Departure>): Timed {
  const delays = new Float64Array(24);
  function* each(): Generator<void> {
    for (const { hour, delay } of departures) {
      delays[hour] = (delays[hour] as number) + delay;
      yield;
    }
  }
  return timed(each());
}
