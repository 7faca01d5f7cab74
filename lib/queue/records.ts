/**
 * Records: items of a struct, which lie in the slots of a ring themselves, without a block: ../kernel/records.ts.
 *
 * A record is written into a draft, memory of this thread alone, and copied from there through the thread's batch into its
 * slot; and the same way back. So nobody's code runs while the thread has a position, no view ever shows what another thread
 * can change, and functions that are handed a view may themselves put and get.
 */
import { THREAD_BATCH } from '../kernel/layout.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Place, Region } from '../memory/region.ts';
import { copyWords } from './copy.ts';
import type { Letter, Payloads, Shows } from './payload.ts';
import { type Struct, StructView, type View } from './struct.ts';

/** Bytes of a thread's batch: so many records are put or taken at once. */
const BATCH_BYTES = 2048;
/** Records up to this many words are faster to clear in a loop. */
const FEW = 64;

/** Memory of this thread for records in a row, each with a view. */
class Draft {
  readonly words: Int32Array;
  readonly views: readonly StructView[];

  constructor(struct: Struct<unknown>, buffer: ArrayBuffer, at: number, count: number) {
    this.words = new Int32Array(buffer, at, (count * struct.bytes) >> 2);
    this.views = Array.from({ length: count }, (_, i) => struct.view(buffer, at + i * struct.bytes));
  }

  /** The view of a record whose bytes are all zero. */
  blank(index: number, words: number): StructView {
    const from = index * words;
    if (words > FEW) this.words.fill(0, from, from + words);
    else for (let i = from; i < from + words; i++) this.words[i] = 0;
    return this.open(index);
  }

  open(index: number): StructView {
    const view = this.views[index] as StructView;
    StructView.open(view);
    return view;
  }
}

/** A queue's records, for one thread. */
export class Records<T> implements Payloads<T>, Shows<T> {
  readonly lacking = 0;
  readonly #kernel: Kernel;
  readonly #offset: number;
  readonly #serial: number;
  readonly #owner: number;
  readonly #struct: Struct<T>;
  readonly #words: number; // of a record
  readonly #most: number; // records of a batch
  readonly #stageAt: number; // where the kernel reads and writes
  readonly #stage: Draft;
  readonly #drafts: Draft[] = []; // by their letters
  readonly #free: Letter[] = [];
  #spare: Draft | undefined; // a batch that nobody uses
  #batch: Draft | undefined; // what `writeMany` prepared
  #asView = false; // `read` lends a view
  /** Why the batch that was prepared last ends where it does. */
  failure: { readonly error: unknown } | undefined;

  constructor({ offset, serial, region }: Place, struct: Struct<T>) {
    this.#kernel = region.kernel;
    this.#offset = offset;
    this.#serial = serial;
    this.#owner = region.slot + 1;
    this.#struct = struct;
    this.#words = struct.bytes >> 2;
    this.#most = Math.floor(BATCH_BYTES / struct.bytes);
    this.#stageAt = region.record + THREAD_BATCH;
    this.#stage = this.#stageOf(region);
  }

  #stageOf({ memory }: Region): Draft {
    return new Draft(
      this.#struct as Struct<unknown>,
      memory.buffer as unknown as ArrayBuffer,
      this.#stageAt,
      this.#most,
    );
  }

  #newDraft(count: number): Draft {
    const struct = this.#struct as Struct<unknown>;
    return new Draft(struct, new ArrayBuffer(count * struct.bytes), 0, count);
  }

  hasRoom(): boolean {
    return true;
  }

  write(value: T): Letter {
    const letter = this.#take();
    let written = false;
    try {
      this.#struct.write((this.#drafts[letter] as Draft).views[0] as StructView, value);
      written = true;
    } finally {
      if (!written) this.drop(letter);
    }
    return letter;
  }

  /** Prepares a record that `fill` writes. */
  fill(fill: (view: View<T>) => void): Letter {
    const letter = this.#take();
    const view = (this.#drafts[letter] as Draft).blank(0, this.#words);
    let filled = false;
    try {
      fill(view as unknown as View<T>);
      filled = true;
    } finally {
      StructView.close(view);
      if (!filled) this.drop(letter);
    }
    return letter;
  }

  #take(): Letter {
    const letter = this.#free.pop();
    return letter ?? this.#drafts.push(this.#newDraft(1)) - 1;
  }

  send(letter: Letter): number {
    copyWords((this.#drafts[letter] as Draft).words, 0, this.#stage.words, 0, this.#words);
    const said = this.#kernel.recordPut(this.#offset, this.#serial, this.#owner, this.#stageAt);
    if (said > 0) this.#free.push(letter);
    return said;
  }

  drop(letter: Letter): void {
    this.#free.push(letter);
  }

  writeMany(values: ArrayLike<T>, from: number, room: number): number {
    const count = Math.min(this.#most, values.length - from, room);
    return this.#prepare(count, (batch, i) => this.#struct.write(batch.views[i] as StructView, values[from + i]));
  }

  /** Prepares `count` records, or as many as a batch has, that `fill` writes, which is told their numbers, from `from` on. */
  fillMany(fill: (view: View<T>, index: number) => void, from: number, count: number): number {
    return this.#prepare(Math.min(this.#most, count), (batch, i) => {
      const view = batch.blank(i, this.#words);
      try {
        fill(view as unknown as View<T>, from + i);
      } finally {
        StructView.close(view);
      }
    });
  }

  /** What is before one that fails is put first. */
  #prepare(count: number, write: (batch: Draft, index: number) => void): number {
    const batch = this.#spare ?? this.#newDraft(this.#most); // a getter may use a batch itself
    this.#spare = undefined;
    let written = 0;
    let failure: { error: unknown } | undefined;
    try {
      for (; written < count; written++) write(batch, written);
    } catch (error) {
      if (written === 0) throw error;
      failure = { error };
    }
    this.failure = failure;
    this.#batch = batch;
    return written;
  }

  /** Sends what the batch holds, but for the first `sent` of them: how many, or what the kernel says. */
  sendMany(written: number, sent = 0): number {
    const { words } = this.#batch as Draft;
    const from = sent * this.#words;
    const count = written - sent;
    if (count > 1 || from > 0) this.#stage.words.set(words.subarray(from, written * this.#words));
    else copyWords(words, 0, this.#stage.words, 0, this.#words);
    return this.#kernel.recordsPut(this.#offset, this.#serial, this.#owner, this.#stageAt, count);
  }

  dropMany(): void {
    this.#spare = this.#batch;
    this.#batch = undefined;
  }

  take(): number {
    return this.#kernel.recordGet(this.#offset, this.#serial, this.#stageAt);
  }

  /** While `lending`, `read` gives a view. */
  lending(on: boolean): void {
    this.#asView = on;
  }

  read(): T {
    return this.#asView ? (this.#lend() as T) : this.#struct.toObject(this.#stage.views[0] as StructView);
  }

  /** The draft stays taken until its view is given back. */
  #lend(): unknown {
    const draft = this.#drafts[this.#take()] as Draft;
    copyWords(this.#stage.words, 0, draft.words, 0, this.#words);
    return draft.open(0);
  }

  show<R>(view: T, use: (view: View<T>) => R): R {
    try {
      return use(view as unknown as View<T>);
    } finally {
      this.#giveBack(view);
    }
  }

  #giveBack(view: unknown): void {
    StructView.close(view as StructView);
    for (let letter = 0; letter < this.#drafts.length; letter++) {
      if (this.#drafts[letter]?.views[0] === view) this.#free.push(letter);
    }
  }

  clear(): void {}

  readMany(items: T[], most: number): number {
    const count = this.takeMany(most);
    for (let i = 0; i < count; i++) items.push(this.#struct.toObject(this.#stage.views[i] as StructView));
    return count;
  }

  /** Takes up to `most` records: how many, or what the kernel says. */
  takeMany(most: number): number {
    return this.#kernel.recordsGet(this.#offset, this.#serial, this.#stageAt, Math.min(most, this.#most));
  }

  /** Hands each of the `count` records that were taken to `use`. */
  useBatch(count: number, use: (view: View<T>) => void): void {
    const batch = this.#spare ?? this.#newDraft(this.#most);
    this.#spare = undefined;
    batch.words.set(this.#stage.words.subarray(0, count * this.#words));
    let failure: { error: unknown } | undefined;
    for (let i = 0; i < count; i++) {
      const view = batch.open(i);
      try {
        use(view as unknown as View<T>);
      } catch (error) {
        failure ??= { error };
      } finally {
        StructView.close(view);
      }
    }
    this.#spare = batch;
    if (failure) throw failure.error;
  }
}
