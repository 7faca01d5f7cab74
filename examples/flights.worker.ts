// The stages of the flights, and the same in one thread.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { codec, type Struct } from '../lib/index.ts';

/** A record of the data set. */
export interface Flight {
  /** Minutes; below 0 when it came early. */
  readonly delay: number;
  /** Miles. */
  readonly distance: number;
  /** The hour of its departure, with a fraction. */
  readonly time: number;
}

export interface Departure {
  hour: number;
  delay: number;
}

/** How the records of the data set lie in memory on their way from thread to thread. */
export const flight: Struct<Flight> = codec.struct({ delay: 'i16', distance: 'u16', time: 'f64' });
/** And those of the stage. */
export const departed: Struct<Departure> = codec.struct({ hour: 'u8', delay: 'i16' });

/** What is known of the flights of one hour of the day. */
export interface Hour {
  flights: number;
  /** Minutes of all flights together. */
  delay: number;
  /** Flights that were 15 minutes late or more. */
  late: number;
  worst: number;
}

const LATE = 15;

/** The source: all flights, one by one. */
export function* read(): Generator<Flight> {
  yield* flights();
}

/** The stage, which the pipeline hands a view of each record and one of what it gives: no object is made. */
export function departure({ time, delay }: Flight, into: Departure = { hour: 0, delay: 0 }): Departure {
  into.hour = Math.floor(time) % 24;
  into.delay = delay;
  return into;
}

/** The sink: one record for each hour of the day. */
export function byHour(departures: Iterable<Departure>): Hour[] {
  const hours = Array.from({ length: 24 }, (): Hour => ({ flights: 0, delay: 0, late: 0, worst: 0 }));
  for (const { hour, delay } of departures) {
    const of = hours[hour] as Hour;
    of.flights++;
    of.delay += delay;
    of.late += Number(delay >= LATE);
    of.worst = Math.max(of.worst, delay);
  }
  return hours;
}

/** All of it in one thread. */
export function alone(): Hour[] {
  return byHour(flights().map((one) => departure(one)));
}

/** All that stand in the file. */
export function flights(): Flight[] {
  const main = createRequire(import.meta.url).resolve('vega-datasets'); // its data is beside, and not among its exports
  const file = new URL('../data/flights-200k.json', pathToFileURL(main));
  return JSON.parse(readFileSync(file, 'utf8'));
}
