/**
 * Deliveries: the messages of a queue that redelivers. An item is decoded from its block, which stays the consumer's until it
 * acknowledges it: see ../kernel/redelivery.ts.
 */
import { BLOCK_STATE, BUSY, QUEUE_BLOCKS, QUEUE_RETURNS, QUEUE_RETURNS_SEEN, TAKEN } from '../kernel/layout.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Place, Region } from '../memory/region.ts';
import type { Codec } from './codec.ts';
import { Messages } from './messages.ts';
import type { Letter } from './payload.ts';

/** An item that was taken for somebody else, with its block, in place of this thread's `taskDone`. */
export interface Held<T> {
  readonly value: T;
  readonly block: number;
}

/** Blocks that this thread has taken and not acknowledged. */
interface Taken {
  /** In the order in which it took them. */
  readonly items: number[];
  /** Those that were received as they lie, and are released one by one. */
  readonly lent: Set<number>;
}

/** By region and the queue's serial. */
const taken = new WeakMap<Region, Map<number, Taken>>();

function takenOf({ region, serial }: Place): Taken {
  const queues = taken.get(region) ?? new Map<number, Taken>();
  const blocks = queues.get(serial) ?? { items: [], lent: new Set() };
  taken.set(region, queues.set(serial, blocks));
  return blocks;
}

const isReturned = (state: number): boolean => state === TAKEN << 1;
const isOpen = (state: number): boolean => (state & 1) === 0 && (state & (TAKEN << 1)) !== 0;

/** Every codec, also those of numbers. */
export class Deliveries<T> extends Messages<T> {
  readonly #place: Place;
  readonly #kernel: Kernel;
  readonly #record: number;
  readonly #owner: number;
  readonly #mine: Taken;
  readonly #blocks: number;
  #suspect = 0; // the block in which the last search found something, where the next one starts

  constructor(place: Place, codec: Codec<T>) {
    super(place, codec);
    const { region } = place;
    this.#place = place;
    this.#kernel = region.kernel;
    this.#record = region.record;
    this.#owner = region.slot + 1;
    this.#mine = takenOf(place);
    this.#blocks = region.kernel.peek(place.offset + QUEUE_BLOCKS);
  }

  /** How many items this thread has taken and not acknowledged. */
  get mine(): number {
    return this.#mine.items.length + this.#mine.lent.size;
  }

  /** How many of these `acknowledge` can be told of. */
  get acknowledgeable(): number {
    return this.#mine.items.length;
  }

  override take(): number {
    const { offset, serial } = this.#place;
    const said = this.#kernel.blockTake(offset, serial, this.#record, this.#owner | TAKEN);
    if (said !== BUSY) return said;
    return this.#kernel.ringGetBlock(offset, serial, this.#record, this.#owner | TAKEN);
  }

  protected override decodeTaken(): T {
    const block = this.taken;
    this.#mine.items.push(block);
    return this.decode(block);
  }

  protected override lend(): Letter {
    this.#mine.lent.add(this.taken);
    return this.taken;
  }

  /** Acknowledges one that was lent or detached. */
  override release(letter: Letter): void {
    this.#mine.lent.delete(letter);
    this.#kernel.blockAcknowledge(letter, this.#owner);
    this.drop(letter);
  }

  /** Acknowledges the `n` items that this thread took first. */
  acknowledge(n: number): void {
    for (const block of this.#mine.items.splice(0, n)) this.release(block);
  }

  /** Of what this thread took last, all but the first `left`: it is no longer this thread's to acknowledge. */
  detach(left: number): number[] {
    return this.#mine.items.splice(left);
  }

  /** Gives back an item that was detached: it comes before newer ones. */
  giveBack(block: number): void {
    this.#kernel.blockGiveBack(this.#place.offset, block);
  }

  /** Whether somebody has taken an item and not acknowledged it, or one has come back. */
  get open(): boolean {
    for (let looked = 0; looked < this.#blocks; looked++) {
      if (isOpen(this.#stateOf(this.#suspect))) return true;
      this.#suspect = (this.#suspect + 1) % this.#blocks;
    }
    return false;
  }

  /** Whether every item that was put is acknowledged. */
  get settled(): boolean {
    const { offset } = this.#place;
    const put = this.#kernel.ringUnfinished(offset); // nothing is ever finished here: so many were put
    return this.#kernel.ringSize(offset) === 0 && !this.open && this.#kernel.ringUnfinished(offset) === put;
  }

  /** Whether items may have come back that nobody has taken again. */
  get mayHaveReturned(): boolean {
    const { offset } = this.#place;
    return this.#kernel.peek(offset + QUEUE_RETURNS) !== this.#kernel.peek(offset + QUEUE_RETURNS_SEEN);
  }

  /** How many items have come back and nobody has taken again. */
  get returned(): number {
    if (!this.mayHaveReturned) return 0;
    let returned = 0;
    for (let index = 0; index < this.#blocks; index++) returned += Number(isReturned(this.#stateOf(index)));
    return returned;
  }

  /** Also what was taken and not acknowledged. */
  override clear(): void {
    super.clear();
    for (let index = 0; index < this.#blocks; index++)
      if (isOpen(this.#stateOf(index))) this.drop(this.#blockAt(index));
    taken.get(this.#place.region)?.delete(this.#place.serial);
  }

  #blockAt(index: number): number {
    return this.#kernel.blockAt(this.#place.offset, index);
  }

  #stateOf(index: number): number {
    return this.#kernel.peek(this.#blockAt(index) + BLOCK_STATE);
  }
}
