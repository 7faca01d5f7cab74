/**
 * Snapshot: what `region.inspect()` gives, and how it is printed.
 */
import { show } from './errors.ts';

/** What a region was like at about one time: plain data, which `postMessage` and JSON carry. Threads are given by their slots. */
export interface RegionSnapshot {
  /** When it was taken, as `Date.now()`. */
  readonly at: number;
  readonly bytes: number;
  /** Bytes that objects, arrays and long messages took. */
  readonly used: number;
  readonly threads: readonly ThreadSnapshot[];
  /** Threads that died so far, as far as somebody supervised them, */
  readonly deaths: number;
  /** and what was repaired after them, in all: see `onDeath` of the region. */
  readonly repairs: Readonly<Record<string, number>>;
  readonly locks: readonly LockSnapshot[];
  readonly queues: readonly QueueSnapshot[];
  /** Arrays, and everything else that is neither a lock nor a queue. */
  readonly others: readonly ObjectSnapshot[];
  /** Pools of the thread that took the snapshot. */
  readonly pools: readonly PoolSnapshot[];
}

/** A thread that uses the region. */
export interface ThreadSnapshot {
  readonly slot: number;
  /** Node's `threadId`. */
  readonly thread: number;
  /** `main`, the name of a pool's thread, the worker's own name where Node tells it, or else `worker` and its `threadId`. */
  readonly name: string;
  /** False when the library has heard of its end: its slot is kept, since it died holding a lock. */
  readonly alive: boolean;
  /** One that blocks, or its promises; those of a thread that blocks wait for it alone and are not here. */
  readonly waits: readonly WaitSnapshot[];
}

/** What a thread waits for. */
export interface WaitSnapshot {
  readonly kind: string;
  readonly name: string;
  readonly offset: number;
  /** What it wants of the object: `lock`, `get`, `put`, `join`, `reserve`. */
  readonly wants: string;
  /** Whether the thread sleeps; otherwise promises of it wait. */
  readonly blocking: boolean;
  /** Whether it gives up by itself; absent for promises. */
  readonly timeout?: boolean;
  /** Since when, as `Date.now()`; absent for promises. */
  readonly since?: number;
}

/** Anything that lives in the region; some kinds have more properties of their own. */
export interface ObjectSnapshot {
  readonly kind: string;
  /** The name that was given, or ''; of an array its type. */
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  /** The slots of all who wait for it. */
  readonly waiters: readonly number[];
  /** The same by what they want, where they may want different things. */
  readonly waitersTo?: Readonly<Record<string, readonly number[]>>;
}

/** Anything that threads own while they are in it. */
export interface LockSnapshot extends ObjectSnapshot {
  readonly locked: boolean;
  /** The slot of the thread that holds it, or -1. */
  readonly owner: number;
  /** There when its owner died while it held it, and nobody has recovered it yet. */
  readonly ownerDied?: true;
}

export interface QueueSnapshot extends ObjectSnapshot {
  readonly size: number;
  readonly capacity: number;
  /** Items that were put, and that were taken, since the queue was made; they count to 2^31 and then from 0 again. */
  readonly put: number;
  readonly got: number;
  readonly closed: boolean;
  /** Of a queue that redelivers: items that were taken and not acknowledged, */
  readonly unacknowledged?: number;
  /** and those which came back, and nobody has taken again. */
  readonly returned?: number;
  readonly waitersTo: { readonly [wants in 'get' | 'put' | 'join' | 'reserve']: readonly number[] };
}

/** A pool that was made in this thread and is not closed. */
export interface PoolSnapshot {
  readonly name: string;
  readonly threads: number;
  readonly spawned: number;
  /** Tasks that were accepted and have not settled. */
  readonly pending: number;
}

type Row = readonly (string | number)[];

const COMMON = ['kind', 'name', 'offset', 'bytes', 'waiters', 'waitersTo']; // of every object

/**
 * The snapshot as tables for people, without the parts that are empty; of arrays only their sum. It is what
 * `console.log(region.inspect())` prints. Throws TypeError for what is no snapshot.
 *
 * @example
 * process.on('SIGUSR2', () => console.error(formatSnapshot(Region.current.inspect())));
 */
export function formatSnapshot(snapshot: RegionSnapshot): string {
  if (!Array.isArray(snapshot?.threads as unknown)) {
    throw new TypeError(`snapshot must be what region.inspect() gave: got ${show(snapshot)}`);
  }
  const { at, bytes, used, others } = snapshot;
  return [
    `region of ${size(bytes)}, ${size(used)} used${inArrays(others)}, at ${new Date(at).toISOString()}`,
    ...deathLines(snapshot),
    ...table(['slot', 'thread', 'name', 'alive', 'waits for'], threadRows(snapshot)),
    ...table(['lock', 'owner', 'waiting', ''], lockRows(snapshot)),
    ...table(['queue', 'size', 'capacity', 'put', 'got', 'closed', 'waiting', ''], queueRows(snapshot)),
    ...table(['object', 'waiting', ''], otherRows(snapshot)),
    ...table(['pool', 'threads', 'spawned', 'pending'], poolRows(snapshot)),
  ].join('\n');
}

function deathLines({ deaths = 0, repairs = {} }: RegionSnapshot): string[] {
  if (deaths === 0) return [];
  const counts = Object.entries(repairs).map(([what, n]) => `${n} ${what}`);
  return ['', `  ${deaths} of its threads died; repaired: ${counts.join(', ') || 'nothing'}`];
}

function threadRows({ threads, at }: RegionSnapshot): Row[] {
  return threads.map(({ slot, thread, name, alive, waits }) => {
    const waited = waits.map((wait) => waitText(wait, at)).join('; ');
    return [slot, thread, name, alive ? 'yes' : 'no', waited];
  });
}

function lockRows({ locks, threads }: RegionSnapshot): Row[] {
  return locks.map((lock) => {
    const owner = lock.owner < 0 ? (lock.ownerDied ? 'died' : '') : nameOf(threads, lock.owner);
    return [title(lock), owner, waiters(lock), rest(lock, ['locked', 'owner', 'ownerDied'])];
  });
}

function queueRows({ queues }: RegionSnapshot): Row[] {
  return queues.map((queue) => {
    const { size, capacity, put, got, closed } = queue;
    const more = rest(queue, ['size', 'capacity', 'put', 'got', 'closed']);
    return [title(queue), size, capacity, put, got, closed ? 'yes' : '', waiters(queue), more];
  });
}

function otherRows({ others }: RegionSnapshot): Row[] {
  return others.filter(isNoArray).map((object) => [title(object), waiters(object), rest(object)]);
}

function poolRows({ pools }: RegionSnapshot): Row[] {
  return pools.map(({ name, threads, spawned, pending }) => [name, threads, spawned, pending]);
}

/** Columns that are as wide as they must be, numbers to the right; nothing when there are no rows. */
function table(head: Row, rows: readonly Row[]): string[] {
  if (rows.length === 0) return [];
  const texts = [head, ...rows].map((row) => row.map((cell) => String(cell).replace(/\p{Cc}/gu, '?')));
  const widths = head.map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return typeof rows[0]?.[column] === 'number' ? cell.padStart(width) : cell.padEnd(width);
    });
  return ['', ...texts.map((row) => `  ${line(row).join('  ')}`.trimEnd())];
}

function title({ kind, name, offset }: { kind: string; name: string; offset: number }): string {
  return name ? `${kind} "${name}"` : `${kind} at ${offset}`;
}

function nameOf(threads: readonly ThreadSnapshot[], slot: number): string {
  const name = threads.find((thread) => thread.slot === slot)?.name;
  return name ? `${name} (slot ${slot})` : `slot ${slot}`;
}

function waitText(wait: WaitSnapshot, at: number): string {
  const { wants, blocking, timeout, since = at } = wait;
  const how = blocking ? `for ${duration(at - since)}${timeout ? ', with a timeout' : ''}` : 'by a promise';
  return `${title(wait)} to ${wants}, ${how}`;
}

/** Who waits, by slots: `1, 2`, or `to get: 1, 2`. */
function waiters({ waiters, waitersTo }: ObjectSnapshot): string {
  if (!waitersTo) return waiters.join(', ');
  const some = Object.entries(waitersTo).filter(([, slots]) => slots.length > 0);
  return some.map(([wants, slots]) => `to ${wants}: ${slots.join(', ')}`).join('; ');
}

/** What a kind shows beside the columns. */
function rest(object: ObjectSnapshot, shown: readonly string[] = []): string {
  const more = Object.entries(object).filter(([key]) => !COMMON.includes(key) && !shown.includes(key));
  return more.map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(', ') || 'none' : value}`).join('; ');
}

function isNoArray({ kind }: ObjectSnapshot): boolean {
  return kind !== 'array';
}

function inArrays(others: readonly ObjectSnapshot[]): string {
  const arrays = others.filter((one) => !isNoArray(one));
  const total = arrays.reduce((sum, { bytes }) => sum + bytes, 0);
  return arrays.length > 0 ? `, ${size(total)} of it in arrays` : '';
}

function size(bytes: number): string {
  return bytes < 2 ** 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, ms)} ms`;
  return ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60_000)} min`;
}
