/** The ring on the ground: its words as `Queue` lays them out, and what must hold of them. */
import {
  BLOCK_DATA,
  BLOCK_STATE,
  CLAIM_SHIFT,
  DONE,
  NO_CLAIM,
  OBJECT_SERIAL,
  QUEUE_BLOCK_STRIDE,
  QUEUE_BLOCKS,
  QUEUE_BLOCKS_AT,
  QUEUE_FINISHED,
  QUEUE_GETTERS,
  QUEUE_HEAD,
  QUEUE_HEAD_SEEN,
  QUEUE_JOINERS,
  QUEUE_LIMIT,
  QUEUE_MASK,
  QUEUE_NUMBER_SHIFT,
  QUEUE_NUMBERS_AT,
  QUEUE_PUTTERS,
  QUEUE_RECORD,
  QUEUE_RESERVERS,
  QUEUE_SLOT_SHIFT,
  QUEUE_SLOTS,
  QUEUE_TAIL,
  SKIPPED,
  SLOT_RECORD,
  SLOT_SHIFT,
  THREAD_MAIL,
  WAKE,
} from '../../../lib/kernel/layout.ts';
import { Failure, type Machine } from './machine.ts';
import type { Protocol } from './programs.ts';
import type { VirtualThread } from './thread.ts';

export const SERIAL = 77;

export interface RingOptions {
  readonly capacity: number;
  readonly wide?: boolean;
  /** Whether its items are records, */
  readonly records?: boolean;
  /** and of how many bytes: 8 by default, or 24. */
  readonly recordBytes?: 8 | 24;
  readonly blocks?: number;
  readonly position?: number;
  /** How far the hint of the tail lags behind, in positions. */
  readonly lag?: number;
  /** Items that are in it already: 1, 2, … */
  readonly items?: number;
  /** Whether a thread can be overtaken by a whole lap, so that words are read while they are written. */
  readonly overtaken?: boolean;
  readonly protocol?: Protocol;
}

/** Races that the ring allows, and why. */
const BENIGN = {
  tail: 'a hint, never ahead: every seek corrects it',
  seen: 'a head seen earlier only makes the room look smaller',
  slots: 'a seeker that was overtaken reads a word that its compare-exchange then does not find',
  copies: 'a copy that was overtaken is dropped, since the compare-exchange of the head fails',
  block: 'a consumer that was overtaken expects an older position, and who looks for a free block finds it is none',
};

export class Ring {
  readonly at: number;
  readonly getters: number;
  readonly putters: number;
  readonly joiners: number;
  readonly reservers: number;
  readonly sets: readonly number[];
  readonly #machine: Machine;
  readonly #options: RingOptions;
  readonly #slots: number;
  readonly #shift: number;
  readonly #numberShift: number;
  readonly #numbersAt: number;
  readonly #stride = 64;
  readonly #blocksAt: number;

  constructor(machine: Machine, options: RingOptions) {
    const { capacity, wide = false, records = false, recordBytes = 8, blocks = 0 } = options;
    this.#machine = machine;
    this.#options = options;
    this.#slots = 2 ** Math.ceil(Math.log2(capacity + 1));
    this.#shift = SLOT_SHIFT + (records ? Math.log2(1 + recordBytes / 8) : 0);
    this.#numberShift = wide ? 3 : 2;
    const { ground } = machine;
    this.at = ground.take(QUEUE_SLOTS + (this.#slots << this.#shift));
    this.#numbersAt = ground.take(this.#slots << this.#numberShift);
    this.#blocksAt = ground.take(blocks * this.#stride);
    this.getters = this.at + QUEUE_GETTERS;
    this.putters = this.at + QUEUE_PUTTERS;
    this.joiners = this.at + QUEUE_JOINERS;
    this.reservers = this.at + QUEUE_RESERVERS;
    this.sets = [this.getters, this.putters, this.joiners, this.reservers];
    this.#writeWords();
    this.#nameFields();
  }

  #writeWords(): void {
    const { ground } = this.#machine;
    const { capacity, blocks = 0, position = 0, lag = 0, items = 0 } = this.#options;
    const start = position - 2 * lag;
    const words: Record<number, number> = {
      [OBJECT_SERIAL]: SERIAL,
      [QUEUE_MASK]: this.#slots - 1,
      [QUEUE_LIMIT]: capacity * 2,
      [QUEUE_BLOCKS]: blocks,
      [QUEUE_BLOCK_STRIDE]: this.#stride,
      [QUEUE_BLOCKS_AT]: this.#blocksAt,
      [QUEUE_SLOT_SHIFT]: this.#shift,
      [QUEUE_NUMBERS_AT]: this.#numbersAt,
      [QUEUE_NUMBER_SHIFT]: this.#numberShift,
      [QUEUE_RECORD]: this.#options.recordBytes ?? 8,
      [QUEUE_TAIL]: start,
      [QUEUE_HEAD_SEEN]: start,
      [QUEUE_HEAD]: position,
      [QUEUE_FINISHED]: position,
    };
    for (const [offset, value] of Object.entries(words)) ground.set(this.at + Number(offset), value);
    for (let p = start; p !== position; p += 2) this.#publish(p, -100);
    for (let i = 0; i < items; i++) this.#publish(position + 2 * i, 1 + i);
  }

  #publish(position: number, payload: number): void {
    const { ground } = this.#machine;
    const { wide, records } = this.#options;
    const slot = this.#slotAt(position);
    ground.set(slot, wide ? 1 << CLAIM_SHIFT : payload);
    ground.set(slot + 4, wide ? position : position | 1);
    if (records) ground.set(slot + SLOT_RECORD, payload);
    if (wide) ground.set(this.#numbersAt + (this.#indexOf(position) << this.#numberShift), payload);
  }

  #indexOf(position: number): number {
    return (position >>> 1) & (this.#slots - 1);
  }

  #slotAt(position: number): number {
    return this.at + QUEUE_SLOTS + (this.#indexOf(position) << this.#shift);
  }

  #nameFields(): void {
    const { ground } = this.#machine;
    const { overtaken, records } = this.#options;
    const name = (name: string, offset: number, bytes: number, benign?: string): void => {
      ground.name({ name, at: this.at + offset, bytes, ...(benign === undefined ? {} : { benign }) });
    };
    ground.constant(this.at, QUEUE_TAIL);
    name('tail', QUEUE_TAIL, 4, BENIGN.tail);
    name('head seen', QUEUE_HEAD_SEEN, 4, BENIGN.seen);
    name('head', QUEUE_HEAD, 4);
    name('finished', QUEUE_FINISHED, 4);
    name('getters', QUEUE_GETTERS, 64);
    name('putters', QUEUE_PUTTERS, 64);
    name('joiners', QUEUE_JOINERS, 64);
    name('reservers', QUEUE_RESERVERS, 64);
    for (let i = 0; i < this.#slots; i++) {
      const at = QUEUE_SLOTS + (i << this.#shift);
      name('slot', at, 8, overtaken ? BENIGN.slots : undefined);
      if (records)
        name('record', at + SLOT_RECORD, this.#options.recordBytes ?? 8, overtaken ? BENIGN.copies : undefined);
    }
    for (let i = 0; i < this.#slots; i++) {
      const bytes = 1 << this.#numberShift;
      name('number', this.#numbersAt - this.at + i * bytes, bytes, overtaken ? BENIGN.copies : undefined);
    }
    for (let i = 0; i < (this.#options.blocks ?? 0); i++) {
      const at = this.#blocksAt + i * this.#stride - this.at;
      name('block state', at + BLOCK_STATE, 4, BENIGN.block);
      name('block bytes', at + BLOCK_DATA, 4);
    }
  }

  /** Never more than the capacity between the head and the end. */
  invariant(): void {
    const { ground } = this.#machine;
    const head = ground.get(this.at + QUEUE_HEAD);
    for (let p = head, n = 0; n <= this.#slots; n++, p = (p + 2) | 0) {
      const [payload, stamp] = [ground.get(this.#slotAt(p)), ground.get(this.#slotAt(p) + 4)];
      const taken = stamp === (p | 1) || (stamp === p && payload > 0);
      if (!taken) return;
      if (n === this.#options.capacity) throw new Failure(`more than ${this.#options.capacity} items are in the ring`);
    }
  }

  /** What was in it at the start. */
  get items(): number[] {
    return Array.from({ length: this.#options.items ?? 0 }, (_, i) => 1 + i);
  }

  /** What is still in it when nobody is in the ring any more: takes it out. */
  drain(): number[] {
    const { solo, threads } = this.#machine;
    const record = threads.at(-1)?.record ?? 0;
    const { blocks, records } = this.#options;
    const items: number[] = [];
    for (;;) {
      const said = blocks
        ? solo('ringGetBlock', this.at, SERIAL, record, threads.length)
        : records
          ? solo('recordGet', this.at, SERIAL, record + THREAD_MAIL)
          : solo('ringGet', this.at, SERIAL, record);
      if (said === SKIPPED) continue;
      if (said !== DONE && said !== WAKE) return items;
      const payload = this.#machine.ground.get(record + THREAD_MAIL);
      items.push(blocks ? this.#machine.ground.get(payload + BLOCK_DATA) : payload);
    }
  }

  get size(): number {
    return this.#machine.solo('ringSize', this.at);
  }

  /** Buries the claim of a thread that is gone, if it has one, and takes what stood behind it. */
  bury(slot: number): number[] {
    const claim = this.#machine.solo('ringClaimOf', this.at, slot + 1);
    if (claim === NO_CLAIM) return [];
    this.#machine.solo('ringBury', this.at, claim);
    return this.drain();
  }

  /** Whether the supervisor would take the block for that of a thread that is gone. */
  wasHeld(block: number, slot: number, record: number): boolean {
    const { solo } = this.#machine;
    const claim = solo('ringClaimOf', this.at, slot + 1);
    const count = claim === NO_CLAIM ? 0 : solo('ringClaimed', this.at, claim);
    return solo('ringWasHeld', this.at, block, record, slot + 1, claim, count) !== 0;
  }

  /** The state of each block, and whether an item in the ring names it at the position that the state says. */
  get blocks(): { block: number; state: number; isInRing: boolean }[] {
    const { ground } = this.#machine;
    return Array.from({ length: this.#options.blocks ?? 0 }, (_, i) => {
      const block = this.#blocksAt + i * this.#stride;
      const state = ground.get(block + BLOCK_STATE);
      const slot = this.#slotAt(state);
      const isInRing = (state & 1) === 1 && ground.get(slot) === block && ground.get(slot + 4) === state;
      const isAhead = ((state - ground.get(this.at + QUEUE_HEAD)) | 0) > 0;
      return { block, state, isInRing: isInRing && isAhead };
    });
  }

  /** Whether a thread that sleeps does so with reason: there is nothing to take for it, or no room. */
  isVainFor({ slot }: VirtualThread): boolean {
    const { solo, dead } = this.#machine;
    if (!dead) return false;
    const waits = (set: number): boolean => solo('isRegistered', set, slot) !== 0;
    return (
      (waits(this.getters) && solo('ringReadable', this.at) === 0) ||
      (waits(this.putters) && solo('ringWritable', this.at) === 0)
    );
  }
}
