/**
 * The pieces of a region, as this thread claims and frees them: of objects, and of long messages.
 *
 * Allocation: ../kernel/pieces.ts.
 */
import {
  FREE,
  KIND_ARRAY,
  KIND_LONG,
  KIND_QUEUE,
  NO_PIECE,
  OBJECT_HEADER,
  OBJECT_KIND,
  PIECES_MOVE,
  QUEUE_PUTTERS,
  QUEUE_RESERVERS,
  REGION_PIECES_AT,
  REGION_UNITS,
  UNIT,
  USED,
} from '../kernel/layout.ts';
import { RegionFullError } from './errors.ts';
import type { Kernel } from './kernel.ts';
import { AGAIN, outlast, type Parker } from './wait.ts';

/** A piece, as it was when one walked by. */
export interface Piece {
  readonly unit: number;
  readonly units: number;
  readonly state: number;
}

export class Pieces {
  readonly #kernel: Kernel;
  readonly #i32: Int32Array;
  readonly #parker: Parker;
  readonly #slot: number;
  /** Units of the region. */
  readonly #all: number;
  /** Address of the first one. */
  readonly #start: number;

  constructor(kernel: Kernel, i32: Int32Array, parker: Parker, slot: number) {
    this.#kernel = kernel;
    this.#i32 = i32;
    this.#parker = parker;
    this.#slot = slot;
    this.#all = i32[REGION_UNITS >> 2] ?? 0;
    this.#start = i32[REGION_PIECES_AT >> 2] ?? 0;
  }

  /** Bytes that are claimed just now. */
  get used(): number {
    let units = 0;
    for (const piece of this.walk()) if (piece.state !== FREE) units += piece.units;
    return units * UNIT;
  }

  /** Claims a piece of at least `bytes`; its first unit, or NO_PIECE. */
  claim(bytes: number, zeroed: boolean): number {
    const units = Math.max(1, Math.ceil(bytes / UNIT));
    return this.#claimed(() => this.#kernel.pieceClaim(units, this.#slot, Number(zeroed)));
  }

  /** Who joins or cuts pieces keeps them from others for some steps: that is not yet a full region. */
  #claimed(claim: () => number): number {
    let unit = claim();
    if (unit === PIECES_MOVE) {
      const found = outlast(() => {
        unit = claim();
        return unit === PIECES_MOVE ? AGAIN : unit;
      });
      unit = found === AGAIN ? NO_PIECE : found;
    }
    // others may have found the region full while this thread held a piece of which it needed a part
    if (unit >= 0 && this.#kernel.spaceWanted()) this.#wakeProducers();
    return unit;
  }

  /** Gives a piece back, and wakes the producers if one waits for space. */
  release(unit: number): void {
    if (this.#kernel.pieceFree(unit) && this.#kernel.spaceWanted()) this.#wakeProducers();
  }

  #wakeProducers(): void {
    for (const { offset, kind } of this.objects()) {
      if (kind === KIND_QUEUE) for (const set of [QUEUE_PUTTERS, QUEUE_RESERVERS]) this.#parker.wakeAll(offset + set);
    }
  }

  /** Claims a piece of any length, up to `bytes`; its first unit, or NO_PIECE. */
  claimPart(bytes: number): number {
    return this.#claimed(() => this.#kernel.pieceClaimPart(Math.ceil(bytes / UNIT), this.#slot));
  }

  /** Bytes that a long message could have now; each part of it has a header. */
  get roomNow(): number {
    return sum(this.#stretches((state) => state === FREE));
  }

  /** Bytes that it could have if all other messages were gone, and who builds something just now gave up. */
  get roomForMessages(): number {
    return sum(this.#stretchesForMessages());
  }

  /** How many of these at the most in one stretch. */
  get stretchForMessages(): number {
    return longest(this.#stretchesForMessages());
  }

  /** As that, of what is free now. */
  get stretchNow(): number {
    return longest(this.#stretches((state) => state === FREE));
  }

  #stretchesForMessages(): number[] {
    return this.#stretches((state, unit) => state !== USED || this.kindAt(this.#kernel.pieceAt(unit)) === KIND_LONG);
  }

  /** The bytes of all stretches of pieces that count, each less one header. */
  #stretches(counts: (state: number, unit: number) => boolean): number[] {
    const stretches: number[] = [];
    let inside = false;
    for (const { unit, units, state } of this.walk()) {
      const counted = counts(state, unit);
      if (counted && !inside) stretches.push(-OBJECT_HEADER);
      if (counted) stretches.push((stretches.pop() ?? 0) + units * UNIT);
      inside = counted;
    }
    return stretches;
  }

  /** Whether these bytes lie within an array of the region. */
  holdsArray(offset: number, bytes: number): boolean {
    for (const { unit, units, state } of this.walk()) {
      const start = this.#kernel.pieceAt(unit);
      const end = start + units * UNIT;
      if (offset < start || offset >= end) continue;
      return (
        state === USED && this.kindAt(start) === KIND_ARRAY && offset >= start + OBJECT_HEADER && offset + bytes <= end
      );
    }
    return false;
  }

  /** What to throw when so many bytes were asked for, and not there. */
  full(asked: number): RegionFullError {
    let left = 0;
    let largest = 0;
    for (const { units, state } of this.walk()) {
      if (state !== FREE) continue;
      left += units * UNIT;
      largest = Math.max(largest, units * UNIT);
    }
    return new RegionFullError(asked, largest, left);
  }

  /** The unit at which the piece starts whose address that is. */
  unitOf(offset: number): number {
    return (offset - this.#start) / UNIT;
  }

  /** Whether an object starts there. */
  isUsed(offset: number): boolean {
    const unit = this.unitOf(offset);
    return Number.isInteger(unit) && unit >= 0 && unit < this.#all && this.#kernel.pieceState(unit) === USED;
  }

  /** The kind of the object there. */
  kindAt(offset: number): number {
    return this.#i32[(offset + OBJECT_KIND) >> 2] ?? 0;
  }

  /** All objects that live just now. */
  *objects(): Generator<{ offset: number; kind: number }> {
    for (const { unit, state } of this.walk()) {
      const offset = this.#kernel.pieceAt(unit);
      if (state === USED) yield { offset, kind: this.kindAt(offset) };
    }
  }

  /** All pieces, as they were during one walk. */
  walk(): Piece[] {
    const pieces = [];
    for (let unit = 0; unit < this.#all; ) {
      const units = this.#kernel.pieceUnits(unit);
      if (units === 0) {
        pieces.length = 0; // overtaken by somebody who joins pieces: start again
        unit = 0;
        continue;
      }
      pieces.push({ unit, units, state: this.#kernel.pieceState(unit) });
      unit += units;
    }
    return pieces;
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, n) => all + n, 0);
const longest = (numbers: readonly number[]): number => numbers.reduce((most, n) => Math.max(most, n), 0);
