/**
 * Look: takes a snapshot of a region while its threads go on.
 *
 * Nothing is stopped or locked, so the picture is of about one time: each word was true when it was read. What was made
 * or freed under the eyes of the onlooker is left out: an object counts if its piece, kind and serial are the same before
 * and after it was looked at. The walk goes forward only, a unit at a time where pieces are just being joined.
 */
import { inspect } from 'node:util';
import {
  FREE,
  KIND_LONG,
  KIND_QUEUE,
  OBJECT_KIND,
  OBJECT_NAME,
  OBJECT_SERIAL,
  REGION_DEATHS,
  REGION_REPAIRS,
  REGION_THREADS,
  REGION_THREADS_AT,
  REGION_UNITS,
  THREAD_BYTES,
  THREAD_NAME,
  UNIT,
  USED,
} from '../kernel/layout.ts';
import type { Kernel } from './kernel.ts';
import { KINDS, readName, repairsAt } from './kinds.ts';
import {
  formatSnapshot,
  type LockSnapshot,
  type ObjectSnapshot,
  type PoolSnapshot,
  type QueueSnapshot,
  type RegionSnapshot,
  type ThreadSnapshot,
  type WaitSnapshot,
} from './snapshot.ts';
import type { Wait, WaitGraph } from './waitgraph.ts';

/** What of a region is needed to look at it. */
export interface Visible {
  readonly kernel: Kernel;
  readonly buffer: Buffer;
  readonly graph: WaitGraph;
  readonly pools: Iterable<() => PoolSnapshot>;
}

/** What the threads do, by their slots. */
interface Activity {
  readonly blocked: ReadonlyMap<number, Wait>;
  readonly waits: ReadonlyMap<number, WaitSnapshot[]>;
}

/** A wait set of an object. */
interface Aim {
  readonly offset: number;
  readonly serial: number;
  readonly set: number;
}

/** One who waits; without a wait that was published it is a promise. */
interface Waiter {
  readonly slot: number;
  readonly wait: Wait | undefined;
}

/** The region as it is about now. */
export function takeSnapshot(region: Visible): RegionSnapshot {
  const { kernel, buffer } = region;
  const at = Date.now();
  const slots = slotsOf(region);
  const blocked = new Map(slots.flatMap((slot) => waitOf(region, slot)));
  const activity = { blocked, waits: new Map(slots.map((slot) => [slot, []])) };
  const [locks, queues, others]: [LockSnapshot[], QueueSnapshot[], ObjectSnapshot[]] = [[], [], []];
  let used = 0;
  for (const { unit, units, state } of piecesOf(kernel)) {
    if (state !== FREE) used += units * UNIT;
    const found = state === USED ? objectAt(region, unit, units * UNIT, activity) : undefined;
    if (!found) continue;
    if (KINDS[found.number]?.owners) locks.push(found.object as LockSnapshot);
    else if (found.number === KIND_QUEUE) queues.push(found.object as QueueSnapshot);
    else others.push(found.object);
  }
  const threads = slots.flatMap((slot) => threadIn(region, slot, activity));
  const pools = Array.from(region.pools, (show) => show());
  const [deaths, repairs] = [kernel.peek(REGION_DEATHS), repairsAt(kernel, REGION_REPAIRS)];
  const snapshot = { at, bytes: buffer.length, used, threads, deaths, repairs, locks, queues, others, pools };
  return Object.defineProperty(snapshot, inspect.custom, { value: () => formatSnapshot(snapshot) });
}

function recordOf({ kernel }: Visible, slot: number): number {
  return kernel.peek(REGION_THREADS_AT) + slot * THREAD_BYTES;
}

/** The slots that threads hold. */
function slotsOf(region: Visible): number[] {
  const all = Array.from({ length: region.kernel.peek(REGION_THREADS) }, (_, slot) => slot);
  return all.filter((slot) => region.kernel.threadClaim(recordOf(region, slot)) !== 0);
}

function waitOf({ graph }: Visible, slot: number): [number, Wait][] {
  const wait = graph.read(slot);
  return wait ? [[slot, wait]] : [];
}

/** The thread in a slot, unless it left it meanwhile. */
function threadIn(region: Visible, slot: number, { waits }: Activity): ThreadSnapshot[] {
  const { kernel, buffer } = region;
  const record = recordOf(region, slot);
  const claim = kernel.threadClaim(record);
  const name = readName(buffer, record + THREAD_NAME);
  const alive = claim > 0;
  if (claim === 0 || kernel.threadClaim(record) !== claim) return [];
  return [{ slot, thread: alive ? claim - 1 : -1, name, alive, waits: waits.get(slot) ?? [] }];
}

function* piecesOf(kernel: Kernel): Generator<{ unit: number; units: number; state: number }> {
  const all = kernel.peek(REGION_UNITS);
  for (let unit = 0; unit < all; ) {
    const units = kernel.pieceUnits(unit);
    if (units > 0) yield { unit, units, state: kernel.pieceState(unit) };
    unit += Math.max(units, 1);
  }
}

/** The object in a piece, with the number of its kind; notes in `activity` who waits for it. */
function objectAt(
  region: Visible,
  unit: number,
  bytes: number,
  activity: Activity,
): { number: number; object: ObjectSnapshot } | undefined {
  const { kernel, buffer } = region;
  const offset = kernel.pieceAt(unit);
  const serial = kernel.peek(offset + OBJECT_SERIAL);
  const number = kernel.peek(offset + OBJECT_KIND);
  const kind = KINDS[number];
  if (serial === 0 || number === KIND_LONG) return undefined;
  const found = (kind?.sets ?? []).map((set, at) => {
    const waiters = waitersOf(region, { offset, serial, set }, activity);
    return { wants: kind?.wants[at] ?? 'wait', waiters, slots: waiters.map(({ slot }) => slot) };
  });
  const object: ObjectSnapshot = {
    kind: kind?.word ?? `kind ${number}`,
    name: readName(buffer, offset + OBJECT_NAME),
    offset,
    bytes,
    waiters: [...new Set(found.flatMap(({ slots }) => slots))],
    ...(found.length > 1 && { waitersTo: Object.fromEntries(found.map(({ wants, slots }) => [wants, slots])) }),
    ...kind?.details?.(kernel, offset),
  };
  const same =
    kernel.pieceState(unit) === USED &&
    kernel.peek(offset + OBJECT_SERIAL) === serial &&
    kernel.peek(offset + OBJECT_KIND) === number;
  if (!same) return undefined;
  for (const { wants, waiters } of found) noteWaits(object, wants, waiters, activity);
  return { number, object };
}

/**
 * Who is in the wait set, or blocks for it and was just woken. A thread publishes its wait before it registers and until it
 * has left the set, so who is registered before and after, without a wait, is a promise.
 */
function waitersOf({ kernel, graph }: Visible, { offset, serial, set }: Aim, { waits, blocked }: Activity): Waiter[] {
  const some = kernel.waiting(offset + set) !== 0;
  const isIn = (slot: number) => some && kernel.isRegistered(offset + set, slot) !== 0;
  return [...waits.keys()].flatMap((slot) => {
    const seen = isIn(slot) ? graph.read(slot) : blocked.get(slot);
    const wait = seen?.object === offset && seen.serial === serial && seen.set === set ? seen : undefined;
    return wait || isIn(slot) ? [{ slot, wait }] : [];
  });
}

function noteWaits(
  { kind, name, offset }: ObjectSnapshot,
  wants: string,
  waiters: readonly Waiter[],
  { waits }: Activity,
): void {
  for (const { slot, wait } of waiters) {
    const how = wait ? { timeout: !wait.endless, since: wait.since } : {};
    waits.get(slot)?.push({ kind, name, offset, wants, blocking: wait !== undefined, ...how });
  }
}
