/**
 * Sheets: messages of bytes that are shown to a function, and for which no object is made. A message is copied onto a sheet,
 * memory of this thread alone, and its block is free again before anybody looks at it. Views of a sheet are kept by their
 * lengths, so that there is one already for nearly every message. Who takes another message while he looks at one gets a
 * sheet of its own for that.
 */
import type { Messages } from './messages.ts';
import type { Letter, Shows } from './payload.ts';
import type { View } from './struct.ts';

/** Longer messages take so long to copy that a view more is nothing. */
const LONGEST_KEPT = 4096; // bytes

class Sheet {
  readonly words: Int32Array;
  readonly #views: (Uint8Array | undefined)[] = []; // by their lengths

  constructor(bytes: number) {
    this.words = new Int32Array(Math.ceil(bytes / Int32Array.BYTES_PER_ELEMENT));
  }

  view(length: number): Uint8Array {
    const known = this.#views[length];
    if (known?.length === length) return known;
    const view = new Uint8Array(this.words.buffer, 0, length);
    if (length <= LONGEST_KEPT) this.#views[length] = view;
    return view;
  }
}

/** What one thread shows of a queue of bytes. */
export class Sheets<T> implements Shows<T> {
  readonly #messages: Messages<T>;
  readonly #sheets: Sheet[] = [];
  #used = 0;

  constructor(messages: Messages<T>) {
    this.#messages = messages;
  }

  lending(on: boolean): void {
    this.#messages.lending(on);
  }

  /** Shows a message that was taken to `use`; returns what that returns. */
  show<R>(lent: T, use: (view: View<T>) => R): R {
    const letter = lent as Letter;
    const messages = this.#messages;
    messages.check();
    const sheet = this.#sheet();
    this.#used++;
    try {
      const length = messages.copyShort(letter, sheet.words);
      return use((length < 0 ? messages.decodeAndDrop(letter) : sheet.view(length)) as View<T>);
    } finally {
      this.#used--;
    }
  }

  #sheet(): Sheet {
    const known = this.#sheets[this.#used];
    if (known && known.words.length > 0) return known; // and its memory was not transferred by somebody who looked at it
    const sheet = new Sheet(this.#messages.blockBytes);
    this.#sheets[this.#used] = sheet;
    return sheet;
  }
}
