/**
 * Pieces: allocation of the region's memory, lock-free, from any thread.
 *
 * Source: boundary tags, Knuth, The Art of Computer Programming 1, 2.5; here the tags stand in a table apart from the
 * memory, one 64-bit word a unit, so that whoever walks with an old length never reads somebody's data as a tag.
 *
 * Claim   1. walk from piece to piece by their lengths; an INTERIOR word means that the walk was overtaken: start again
 *         2. compare-exchange FREE to HELD by me: the piece is mine alone
 *         3. while too short, take the FREE piece behind it likewise and lengthen mine by one store
 *         4. cut the rest off: write its word as HELD, shorten mine, then free it
 *         5. zero what was in use before, if asked
 *         A piece that is HELD may be one of which the rest comes back in a moment, so "none" is not the last word then.
 * Again   claim the piece at a unit that is known from before, if it is free and about as long as needed: one compare-exchange
 * Seal    one store: HELD to USED
 * Free    one compare-exchange: USED to FREE
 * Bury    for the supervisor, of a thread that is gone: what it HELD goes free, cleared of words that it had begun to write
 *         behind the first
 *
 * Invariants: a FREE word stands only where a walk arrives. Every step is one store, so at each instant the walk from
 * unit 0 by lengths covers the region exactly, and a piece HELD by a dead thread can simply be freed.
 */
import {
  FREE,
  HELD,
  INTERIOR,
  NO_PIECE,
  PIECES_MOVE,
  REGION_HIGH,
  REGION_PIECES_AT,
  REGION_SERIAL,
  REGION_TABLE_AT,
  REGION_UNITS,
  REGION_WANTED,
  STAMP_SHIFT,
  UNIT,
  USED,
} from './layout';

function word(state: i32, units: i32): i64 {
  return ((<i64>state) << 32) | <i64>units;
}

function tag(unit: i32): usize {
  return <usize>(load<i32>(0, REGION_TABLE_AT) + (unit << 3));
}

function stateOf(w: i64): i32 {
  return <i32>(w >>> 32);
}

/** Claims `units` in a row for the thread in `slot`, zeroed if asked; the first unit, NO_PIECE or PIECES_MOVE. */
export function pieceClaim(units: i32, slot: i32, zeroed: bool): i32 {
  return claim(units, units, slot, zeroed);
}

/** Claims the first free piece, whatever its length, up to `most` units: its first unit, NO_PIECE or PIECES_MOVE. For what may lie in parts. */
export function pieceClaimPart(most: i32, slot: i32): i32 {
  return claim(1, most, slot, false);
}

/** Claims the piece at `unit`, if one begins there that is free and has so many units, or up to a quarter more: whether it did. */
export function pieceClaimAt(unit: i32, units: i32, slot: i32): bool {
  const seen = atomic.load<i64>(tag(unit));
  const more = <i32>seen - units;
  if (stateOf(seen) !== FREE || more < 0 || more > units >> 2) return false;
  if (atomic.cmpxchg<i64>(tag(unit), seen, word(HELD + slot, <i32>seen)) !== seen) return false;
  use(unit, <i32>seen, false); // a claim that failed may have joined what was never in use to it
  return true;
}

function claim(least: i32, most: i32, slot: i32, zeroed: bool): i32 {
  const all = load<i32>(0, REGION_UNITS);
  let none = NO_PIECE;
  let unit = 0;
  while (unit < all) {
    const seen = atomic.load<i64>(tag(unit));
    const state = stateOf(seen);
    if (state === INTERIOR) {
      unit = 0;
      continue;
    }
    if (state >= HELD && state !== HELD + slot) none = PIECES_MOVE;
    if (state === FREE && reachable(unit, <i32>seen, least, all)) {
      if (atomic.cmpxchg<i64>(tag(unit), seen, word(HELD + slot, <i32>seen)) !== seen) continue;
      const have = lengthen(unit, <i32>seen, most, all, slot);
      if (have >= least) {
        const units = min(have, most);
        cut(unit, have, units, slot);
        use(unit, units, zeroed);
        return unit;
      }
      atomic.store<i64>(tag(unit), word(FREE, have));
      unit += have;
    } else unit += <i32>seen;
  }
  return none;
}

/** Whether the free pieces from `unit` on are `units` long together; a look only, so that nobody else is kept out. */
function reachable(unit: i32, have: i32, units: i32, all: i32): bool {
  while (have < units && unit + have < all) {
    const next = atomic.load<i64>(tag(unit + have));
    if (stateOf(next) !== FREE) return false;
    have += <i32>next;
  }
  return have >= units;
}

function lengthen(unit: i32, length: i32, units: i32, all: i32, slot: i32): i32 {
  let have = length;
  while (have < units && unit + have < all) {
    const behind = tag(unit + have);
    const next = atomic.load<i64>(behind);
    if (stateOf(next) !== FREE) break;
    if (atomic.cmpxchg<i64>(behind, next, word(HELD + slot, <i32>next)) !== next) continue;
    have += <i32>next;
    atomic.store<i64>(tag(unit), word(HELD + slot, have));
    atomic.store<i64>(behind, 0);
  }
  return have;
}

function cut(unit: i32, have: i32, units: i32, slot: i32): void {
  if (have === units) return;
  const rest = tag(unit + units);
  atomic.store<i64>(rest, word(HELD + slot, have - units));
  atomic.store<i64>(tag(unit), word(HELD + slot, units));
  // Publishes: the rest. By: this store. Seen after: the load in pieceClaim().
  atomic.store<i64>(rest, word(FREE, have - units));
}

function use(unit: i32, units: i32, zeroed: bool): void {
  const end = unit + units;
  let high = atomic.load<i32>(0, REGION_HIGH);
  if (zeroed && unit < high) {
    memory.fill(pieceAt(unit), 0, <usize>((min(end, high) - unit) * UNIT));
  }
  while (high < end) {
    const seen = atomic.cmpxchg<i32>(0, high, end, REGION_HIGH);
    if (seen === high) break;
    high = seen;
  }
}

/** The address of a unit. */
export function pieceAt(unit: i32): usize {
  return <usize>(load<i32>(0, REGION_PIECES_AT) + unit * UNIT);
}

/** Ends the building of a claimed piece: from now on it is USED. */
export function pieceSeal(unit: i32): void {
  // Publishes: the bytes of the piece. By: this store. Seen after: the load of whoever enumerates pieces.
  atomic.store<i64>(tag(unit), word(USED, <i32>atomic.load<i64>(tag(unit))));
}

/** Frees a USED piece; says whether it was one. */
export function pieceFree(unit: i32): bool {
  const seen = atomic.load<i64>(tag(unit));
  return stateOf(seen) === USED && atomic.cmpxchg<i64>(tag(unit), seen, word(FREE, <i32>seen)) === seen;
}

/** Frees what the thread in `slot`, which is gone, was building or dismantling: how many pieces. */
export function pieceBury(slot: i32): i32 {
  const all = load<i32>(0, REGION_UNITS);
  let buried = 0;
  let unit = 0;
  while (unit < all) {
    const seen = atomic.load<i64>(tag(unit));
    const units = <i32>seen;
    if (stateOf(seen) === INTERIOR) {
      unit = 0;
      continue;
    }
    if (stateOf(seen) === HELD + slot) {
      for (let inside = unit + 1; inside < unit + units; inside++) {
        if (load<i64>(tag(inside)) !== 0) atomic.store<i64>(tag(inside), 0);
      }
      // Publishes: the piece. By: this store. Seen after: the load in claim().
      atomic.store<i64>(tag(unit), word(FREE, units));
      buried++;
    }
    unit += units;
  }
  return buried;
}

/** How long the piece at `unit` is, in units; 0 when no piece begins there. */
export function pieceUnits(unit: i32): i32 {
  const seen = atomic.load<i64>(tag(unit));
  return stateOf(seen) === INTERIOR ? 0 : <i32>seen;
}

/** The state of the piece at `unit`. */
export function pieceState(unit: i32): i32 {
  return stateOf(atomic.load<i64>(tag(unit)));
}

/** A producer that found no piece says so before it looks again. */
export function spaceWant(): void {
  atomic.store<i32>(0, 1, REGION_WANTED);
}

/** After a free: whether some producer waits for it. */
export function spaceWanted(): bool {
  return atomic.load<i32>(0, REGION_WANTED) !== 0 && atomic.xchg<i32>(0, 0, REGION_WANTED) !== 0;
}

/** A number that no other object of the region has (until 2^31 were made), its low bits never all zero: see lock.ts. */
export function nextSerial(): i32 {
  while (true) {
    const serial = (atomic.add<i32>(0, 1, REGION_SERIAL) + 1) & 0x7fffffff;
    if (serial << STAMP_SHIFT !== 0) return serial;
  }
}
