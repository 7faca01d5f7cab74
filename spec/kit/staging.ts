// Functions that the specs of pipelines run in its threads.
import { setImmediate as turn } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { type Codec, codec } from '../../lib/queue/codec.ts';
import type { Queue } from '../../lib/queue/queue.ts';
import type { Struct, View } from '../../lib/queue/struct.ts';
import type { Latch } from '../../lib/sync/latch.ts';

export const double = (n: number): number => 2 * n;
export const isOdd = (n: number): boolean => n % 2 === 1;
export const twice = (n: number): number[] => [n, n];
export const same = <T>(value: T): T => value;
export const add = (sum: number, n: number): number => sum + n;
export const threadOf = (): number => threadId;
export const letters = (): string => 'abc';
export const nothing = (): void => {};
export const unsendable = (): unknown => () => {};
export const forever = (): never => {
  for (;;);
};
export const leave = (n: number): number => (n === 3 ? process.exit(7) : n);

export async function* upTo(n: number): AsyncGenerator<number> {
  for (let i = 0; i < n; i++) yield i;
}

export async function doubleLater(n: number): Promise<number> {
  await turn();
  return 2 * n;
}

export async function isOddLater(n: number): Promise<boolean> {
  await turn();
  return n % 2 === 1;
}

/** The first records take longest, so that a thread has later ones ready before. */
export function uneven(n: number): number {
  const end = performance.now() + (n % 7 === 0 ? 3 : 0.05);
  while (performance.now() < end);
  return n;
}

export async function unevenLater(n: number): Promise<number> {
  for (let turns = n % 5; turns > 0; turns--) await turn();
  return n;
}

export function refuseThree(n: number): number {
  if (n === 3) throw new RangeError('three');
  return n;
}

export async function refuseThreeLater(n: number): Promise<number> {
  await turn();
  return refuseThree(n);
}

export function refuseEach(n: number): number {
  throw Object.assign(new Error(`no ${n}`), { code: 'ENO' });
}

const failed = new Set<number>();

/** Each record fails the first time. */
export function refuseOnce(n: number): number[] {
  if (failed.has(n)) return [n];
  failed.add(n);
  throw new Error('once');
}

/** Gives a record before it fails the first time. */
export function* giveAndRefuseOnce(n: number): Generator<number> {
  yield n;
  if (failed.has(n)) return;
  failed.add(n);
  throw new Error('once');
}

export function* upToThenFail(n: number): Generator<number> {
  for (let i = 0; i < n; i++) yield i;
  throw new Error('the well is dry');
}

/** A source that says when it was closed. */
export function* endless(closed: Latch): Generator<number> {
  try {
    for (let i = 0; ; i++) yield i;
  } finally {
    closed.countDown();
  }
}

export function* many(n: number): Generator<number> {
  for (let i = 0; i < n; i++) yield i;
}

export function sumOf(records: Iterable<number>): number {
  let sum = 0;
  for (const n of records) sum += n;
  return sum;
}

export async function sumOfLater(records: AsyncIterable<number>): Promise<number> {
  let sum = 0;
  for await (const n of records) sum += n;
  return sum;
}

export function firstThree(records: Iterable<number>): number[] {
  const first: number[] = [];
  for (const n of records) if (first.push(n) === 3) break;
  return first;
}

export function failAtThree(records: Iterable<number>): void {
  for (const n of records) if (n === 3) throw new Error('enough');
}

/** Says that it has the record, and waits until it may go on. */
export async function pass(record: { n: number; came: Queue<number>; go: Queue<number> }): Promise<number> {
  await record.came.putAsync(record.n);
  await record.go.getAsync();
  return record.n;
}

/** Records of a fixed layout. */
export interface Trade {
  readonly id: number;
  readonly price: number;
  readonly symbol: string;
}

export const trade: Struct<Trade> = codec.struct({ id: 'u16', price: 'f64', symbol: codec.string(4) });
export const total: Struct<{ id: number; cents: bigint }> = codec.struct({ id: 'u16', cents: 'i64' });

/** An instance of a class, which only a codec of its own brings back as one. */
export class Point {
  readonly x: number;
  readonly y: number;

  constructor(x: number, y: number) {
    this.x = x;
    this.y = y;
  }
}

export const points: Codec<Point> = codec.define<Point>({
  name: 'point of a pipeline',
  size: () => 16,
  encode: ({ x, y }, target) => target.writeDoubleLE(y, target.writeDoubleLE(x)),
  decode: (source) => new Point(source.readDoubleLE(0), source.readDoubleLE(8)),
});

export const tradeOf = (id: number): Trade => ({ id, price: id / 4, symbol: `T${id % 10}` });
export const dearer = ({ id, price, symbol }: Trade): Trade => ({ id, price: price + 1, symbol });
export const isEven = ({ id }: Trade): boolean => id % 2 === 0;
export const cheapAndDear = ({ id }: Trade): Trade[] => [tradeOf(id), tradeOf(id + 100)];
export const sumOfPrices = (sum: number, { price }: Trade): number => sum + price;
export const mirrored = ({ x, y }: Point): Point => new Point(y, x);
export const pointOf = (n: number): Point => new Point(n, -n);
export const isPoint = (value: unknown): boolean => value instanceof Point;

/** Writes into the view that it is handed, and waits before. */
export async function totalInto({ id, price }: Trade, into: View<{ id: number; cents: bigint }>): Promise<typeof into> {
  await turn();
  into.id = id;
  into.cents = BigInt(price * 100);
  return into;
}

/** What kind of records came, and their prices. */
export function pricesOfViews(trades: Iterable<Trade>): [plain: number, prices: number] {
  let plain = 0;
  let prices = 0;
  for (const one of trades) {
    plain += Number(Object.getPrototypeOf(one) === Object.prototype);
    prices += one.price;
  }
  return [plain, prices];
}

/** Uses the view of the last record when there are no more. */
export function lastKept(trades: Iterable<Trade>): number {
  let last: Trade | undefined;
  for (const one of trades) last = one;
  return last?.price ?? 0;
}

const WRONG = { range: { id: 70_000 }, type: { price: '9.5' }, length: { symbol: 'TEAPOT' } };

/** Record 5 has a field that does not fit. */
const unfit = (id: number, wrong: object): object => (id === 5 ? { ...tradeOf(id), ...wrong } : tradeOf(id));
export const unfitRange = (id: number): object => unfit(id, WRONG.range);
export const unfitType = (id: number): object => unfit(id, WRONG.type);
export const unfitLength = (id: number): object => unfit(id, WRONG.length);

export function* manyTrades(n: number): Generator<Trade> {
  for (let id = 0; id < n; id++) yield tradeOf(id);
}

export function* manyUnfit(n: number): Generator<unknown> {
  for (let id = 0; id < n; id++) yield unfitLength(id);
}

/** The same bytes again and again. */
export function* lumps(bytes: number, count: number): Generator<Uint8Array> {
  const one = new Uint8Array(bytes);
  for (let i = 0; i < count; i++) yield one;
}
