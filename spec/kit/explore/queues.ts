/** Queue as a virtual thread uses it: what lib/queue/queue.ts, numbers.ts and messages.ts do around the kernel. */
import {
  BLOCK_DATA,
  BUSY,
  CLOSED,
  DONE,
  PUTTERS_WAIT,
  RESERVERS_WAIT,
  THREAD_BATCH,
  THREAD_MAIL,
  WAKE,
} from '../../../lib/kernel/layout.ts';
import { EventLoop } from './event-loop.ts';
import { Failure, type Machine } from './machine.ts';
import { AGAIN, call, type Operation, Parker, type Part, peek, poke, touch } from './programs.ts';
import { type Ring, type RingOptions, SERIAL } from './rings.ts';

/** The verbs of Queue for one virtual thread. Items are small numbers; what is got says whether the queue has ended. */
export class Queue {
  readonly parker: Parker;
  readonly loop: EventLoop;
  readonly #ring: Ring;
  readonly #options: RingOptions;
  readonly #slot: number;
  readonly #record: number;

  constructor({ ground }: Machine, ring: Ring, options: RingOptions, slot: number) {
    this.#ring = ring;
    this.#options = options;
    this.#slot = slot;
    this.#record = ground.record(slot);
    this.parker = new Parker(ground, slot, options.protocol);
    this.loop = new EventLoop(ground, slot, options.protocol);
  }

  /** Puts without waiting: true, false when it is full, CLOSED. */
  *tryPut(item: number): Part<boolean | typeof CLOSED> {
    const { protocol } = this.#options;
    const letter = this.#options.blocks ? yield* this.#write(item) : item;
    if (letter < 0) return false;
    if (protocol?.wakeFirst) yield* this.parker.wake(this.#ring.getters);
    const sent = yield* this.#send(letter);
    if (sent !== true && this.#options.blocks) yield* this.#drop(letter);
    return sent;
  }

  *#send(letter: number): Part<boolean | typeof CLOSED> {
    const { at, getters } = this.#ring;
    const said = this.#options.blocks
      ? yield* call('ringPutBlock', at, SERIAL, this.#record, letter)
      : yield* this.#sendNumber(letter);
    if (said === CLOSED) return CLOSED;
    if (said === BUSY) return false;
    if (said === WAKE && !this.#options.protocol?.wakeFirst) yield* this.parker.wake(getters);
    return true;
  }

  *#sendNumber(n: number): Part<number> {
    const { at } = this.#ring;
    if (!this.#options.wide && !this.#options.records) return yield* call('ringPut', at, SERIAL, n);
    yield* poke(this.#record + THREAD_MAIL, n);
    if (this.#options.records) return yield* call('recordPut', at, SERIAL, this.#slot + 1, this.#record + THREAD_MAIL);
    return yield* call('ringPutWide', at, SERIAL, this.#record, this.#slot + 1);
  }

  /** Puts, and sleeps while it is full; false when it is closed or the time is up. */
  *put(item: number, timed = false): Part<boolean> {
    return (yield* this.parker.block(yield* this.sending(item), timed)) === true;
  }

  /** The operation of a put: whether it was put, or the queue is closed. */
  *sending(item: number): Part<Operation<boolean>> {
    const queue = this;
    let letter = this.#options.blocks ? yield* this.#write(item) : item;
    return {
      ...this.#writing(),
      *attempt() {
        if (letter < 0) letter = yield* queue.#write(item);
        if (letter < 0) return AGAIN;
        const sent = yield* queue.#send(letter);
        if (sent === CLOSED) yield* queue.#drop(letter);
        return sent === false ? AGAIN : sent === true;
      },
      *abandon() {
        if (letter >= 0) yield* queue.#drop(letter);
      },
    };
  }

  *#write(item: number): Part<number> {
    const index = yield* call('blockClaim', this.#ring.at, SERIAL, this.#slot + 1, 0);
    if (index < 0) return -1;
    const block = yield* call('blockAt', this.#ring.at, index);
    yield* touch(block + BLOCK_DATA, item);
    return block;
  }

  *#drop(letter: number): Part<void> {
    if (!this.#options.blocks) return;
    yield* this.giveBack(letter);
  }

  *giveBack(block: number): Part<void> {
    const { at, putters, reservers } = this.#ring;
    const waiting = yield* call('blockGive', at, block);
    if (waiting & PUTTERS_WAIT) yield* this.parker.wake(putters);
    if (waiting & RESERVERS_WAIT) yield* this.parker.wakeAll(reservers);
  }

  /** Claims a block, and sleeps while there is none. */
  *reserve(): Part<number> {
    const queue = this;
    const block = yield* this.parker.block<number>({
      set: this.#ring.reservers,
      *attempt() {
        const letter = yield* queue.#write(0);
        return letter < 0 ? AGAIN : letter;
      },
    });
    if (typeof block !== 'number') throw new Failure('a wait without a deadline timed out');
    return block;
  }

  #inBatch(i: number): number {
    const { wide, records, blocks } = this.#options;
    return this.#record + THREAD_BATCH + (wide || records || blocks ? 8 : 4) * i;
  }

  /** Puts some at once, as many as there is room for, without waiting: how many, BUSY or CLOSED. */
  *putMany(items: readonly number[]): Part<number> {
    for (const [i, item] of items.entries()) yield* poke(this.#inBatch(i), item);
    const { at, getters } = this.#ring;
    const said = this.#options.records
      ? yield* call('recordsPut', at, SERIAL, this.#slot + 1, this.#record + THREAD_BATCH, items.length)
      : yield* call('ringPutMany', at, SERIAL, this.#record, this.#slot + 1, items.length);
    if (said > 0 && (yield* call('waiting', getters))) yield* this.parker.wake(getters);
    return said;
  }

  /** Puts all, and sleeps while it is full. */
  *putAll(items: readonly number[]): Part<void> {
    const queue = this;
    for (let done = 0; done < items.length; ) {
      const rest = items.slice(done);
      const said = yield* this.parker.block<number>({
        ...this.#writing(),
        *attempt() {
          const sent = yield* queue.putMany(rest);
          return sent === BUSY ? AGAIN : sent;
        },
      });
      if (typeof said !== 'number' || said < 0) return;
      done += said;
    }
  }

  /** Takes one without waiting: the item, BUSY (none) or CLOSED. */
  *tryGet(): Part<{ item: number } | typeof BUSY | typeof CLOSED> {
    const { at, putters } = this.#ring;
    const said = this.#options.blocks
      ? yield* call('ringGetBlock', at, SERIAL, this.#record, this.#slot + 1)
      : this.#options.records
        ? yield* call('recordGet', at, SERIAL, this.#record + THREAD_MAIL)
        : yield* call('ringGet', at, SERIAL, this.#record);
    if (said !== DONE && said !== WAKE) return said === CLOSED ? CLOSED : BUSY;
    let item = yield* peek(this.#record + THREAD_MAIL);
    if (this.#options.blocks) {
      const block = item;
      item = yield* touch(block + BLOCK_DATA);
      yield* this.#drop(block);
    }
    if (said === WAKE) yield* this.parker.wake(putters);
    return { item };
  }

  /** Takes one, and sleeps while it is empty: the item, or undefined when the queue has ended or the time is up. */
  *get(timed = false): Part<number | undefined> {
    const got = yield* this.parker.block(this.taking(), timed);
    return typeof got === 'object' ? got.item : undefined;
  }

  /** The operation of a get. */
  taking(): Operation<{ item: number } | typeof CLOSED> {
    const queue = this;
    return {
      ...this.#reading(),
      *attempt() {
        const said = yield* queue.tryGet();
        return said === BUSY ? AGAIN : said;
      },
    };
  }

  /** Takes up to `most` without waiting. */
  *tryGetMany(most: number): Part<number[] | typeof BUSY | typeof CLOSED> {
    const { at, putters } = this.#ring;
    const said = this.#options.records
      ? yield* call('recordsGet', at, SERIAL, this.#record + THREAD_BATCH, most)
      : yield* call('ringGetMany', at, SERIAL, this.#record, most);
    if (said <= 0) return said === CLOSED ? CLOSED : BUSY;
    const items: number[] = [];
    for (let i = 0; i < said; i++) items.push(yield* peek(this.#inBatch(i)));
    if (yield* call('waiting', putters)) yield* this.parker.wake(putters);
    return items;
  }

  /** Takes at least one, and sleeps while it is empty; none when the queue has ended. */
  *getMany(most: number): Part<number[]> {
    const queue = this;
    const got = yield* this.parker.block<number[] | typeof CLOSED>({
      ...this.#reading(),
      *attempt() {
        const said = yield* queue.tryGetMany(most);
        return said === BUSY ? AGAIN : said;
      },
    });
    return Array.isArray(got) ? got : [];
  }

  *close(): Part<void> {
    yield* call('ringClose', this.#ring.at);
    for (const set of [this.#ring.getters, this.#ring.putters, this.#ring.reservers]) yield* this.parker.wakeAll(set);
  }

  *taskDone(): Part<void> {
    const said = yield* call('ringFinish', this.#ring.at, 1);
    if (said === BUSY) throw new Failure('taskDone() was called too often');
    if (said === WAKE) yield* this.parker.wakeAll(this.#ring.joiners);
  }

  *join(): Part<void> {
    yield* this.parker.block(this.joining());
  }

  /** The operation of a join. */
  joining(): Operation<true> {
    const { at, joiners } = this.#ring;
    return {
      set: joiners,
      *attempt() {
        return (yield* call('ringUnfinished', at)) === 0 ? true : AGAIN;
      },
    };
  }

  #reading(): Pick<Operation<never>, 'set' | 'passOn'> {
    const { at, getters } = this.#ring;
    return {
      set: getters,
      *passOn() {
        return (yield* call('waiting', getters)) !== 0 && (yield* call('ringReadable', at)) !== 0;
      },
    };
  }

  #writing(): Pick<Operation<never>, 'set' | 'passOn'> {
    const { at, putters } = this.#ring;
    return {
      set: putters,
      *passOn() {
        return (yield* call('waiting', putters)) !== 0 && (yield* call('ringWritable', at)) !== 0;
      },
    };
  }
}
