/**
 * Loans: memory of a queue of bytes that is lent to the caller, to write a message where it will lie or to read one where it
 * lies.
 *
 * Source: the loans and samples of iceoryx2. A reservation is a block that this thread owns and has not sent; a message that
 * was received is one that it has taken and not freed. So a loan is in no list: who dies with one leaves a block that names
 * its owner, and the supervisor frees that with what is behind it, or gives it back to a queue that redelivers.
 */
import { QUEUE_RESERVERS } from '../kernel/layout.ts';
import { ClosedError, InvalidHandleError, requireInteger, show } from '../memory/errors.ts';
import type { SharedObject } from '../memory/handles.ts';
import { AGAIN, type Operation } from '../memory/wait.ts';
import type { Messages } from './messages.ts';
import type { Letter } from './payload.ts';

/** How a reservation is committed. */
export interface CommitOptions {
  /** How many of its bytes, from the first one on, are the message; all of them by default. */
  length?: number | undefined;
}

/** A queue of bytes that lends. */
interface Lender extends SharedObject {
  readonly closed: boolean;
}

type Lendable = Pick<
  Messages<unknown>,
  'lending' | 'reserve' | 'hasStretch' | 'bytesOf' | 'setLength' | 'drop' | 'release'
>;

/** What one thread lends of a queue. */
export class Loans {
  readonly queue: Lender;
  readonly messages: Lendable;
  readonly #released: () => void;

  constructor(queue: Lender, messages: Lendable, released: () => void) {
    this.queue = queue;
    this.messages = messages;
    this.#released = released;
  }

  /** A reservation of so many bytes, which may have to wait. */
  reserving(verb: string, bytes: number): Operation<Reservation> {
    requireInteger('bytes', bytes, 1, Number.MAX_SAFE_INTEGER);
    const { queue, messages } = this;
    let tried = false;
    return {
      what: `${verb} of ${queue.title}`,
      object: queue,
      set: queue.offset + QUEUE_RESERVERS,
      passOn: () => false, // all who wait are woken
      attempt: () => {
        if (queue.closed) throw new ClosedError(queue.title);
        if (tried && !messages.hasStretch(bytes)) return AGAIN; // to claim a block and give it back would wake others
        tried = true;
        const letter = messages.reserve(bytes);
        return letter === AGAIN ? AGAIN : new Reservation(this, letter);
      },
    };
  }

  /** Gives a message that was taken back. */
  release(letter: Letter): void {
    this.messages.release(letter);
    this.#released();
  }
}

const LENT = '';
const COMMITTING = 'is being committed';

abstract class Loan {
  protected readonly loans: Loans;
  /** @internal */ readonly letter: Letter;
  readonly #bytes: Uint8Array;
  /** What became of it, when it is not lent any more. */
  protected state: string = LENT;

  /** @internal */
  constructor(loans: Loans, letter: Letter) {
    this.loans = loans;
    this.letter = letter;
    this.#bytes = loans.messages.bytesOf(letter);
  }

  /**
   * The bytes of the message where they lie, in the memory of the queue. Keep no copy of this view and no view of it: shared
   * memory cannot be detached, so that an old view shows, and overwrites, what others write there later. Throws
   * InvalidHandleError when the loan is over, or the queue was freed.
   */
  get bytes(): Uint8Array {
    this.requireLent();
    return this.#bytes;
  }

  protected abstract readonly what: string;

  protected requireLent(): void {
    const { queue } = this.loans;
    if (this.state !== LENT) throw new InvalidHandleError(`${this.what} of ${queue.title} ${this.state}`);
    queue.region.check(queue);
  }

  protected requireOf(name: string, queue: SharedObject): void {
    const { region, serial, title } = this.loans.queue;
    if (region !== queue.region || serial !== queue.serial) {
      throw new TypeError(`${name} must be one of ${queue.title}: got one of ${title}`);
    }
  }

  protected over(how: string): void {
    this.requireLent();
    this.state = how;
  }
}

/** Memory for a message that is being written, see `queue.reserve`. Only the thread that reserved it can use it. */
export class Reservation extends Loan {
  protected readonly what = 'the reservation';

  /** Gives the memory back, and nothing is sent. Throws InvalidHandleError when it was committed or abandoned already. */
  abandon(): void {
    this.over('was abandoned');
    this.loans.messages.drop(this.letter);
  }

  /** As `abandon`; does nothing when it was committed. */
  [Symbol.dispose](): void {
    if (this.state === LENT) this.abandon();
  }

  /** @internal Begins a commit to that queue, of the first `length` bytes: what is to be sent. */
  begin(queue: SharedObject, length: number | undefined): Letter {
    this.requireOf('reservation', queue);
    const { byteLength } = this.bytes;
    if (length !== undefined) requireInteger('length', length, 0, byteLength);
    this.loans.messages.setLength(this.letter, length ?? byteLength);
    this.state = COMMITTING;
    return this.letter;
  }

  /** @internal The put of a commit that has begun. */
  sent(put: Operation<void>): Operation<void> {
    const attempt = () => {
      try {
        if (put.attempt() === AGAIN) return AGAIN;
      } catch (error) {
        this.state = 'was given back, since it could not be committed';
        throw error;
      }
      this.state = 'was committed';
      return undefined;
    };
    const abandon = () => {
      this.state = LENT;
    };
    return { ...put, attempt, abandon };
  }
}

/** A message that was taken and lies where it was written, see `queue.receive`. Only the thread that received it can use it. */
export class Received extends Loan {
  protected readonly what = 'the message';

  /**
   * Gives the memory back; in a queue that redelivers this acknowledges the message. Throws InvalidHandleError when it was
   * released already.
   */
  release(): void {
    this.over('was released');
    this.loans.release(this.letter);
  }

  /** As `release`; does nothing when it was released. */
  [Symbol.dispose](): void {
    if (this.state === LENT) this.release();
  }

  /** @internal */
  releaseTo(queue: SharedObject): void {
    this.requireOf('message', queue);
    this.release();
  }
}

/** Throws TypeError for what is no such loan. */
export function requireLoan<L>(name: string, value: unknown, type: new (...args: never[]) => L): asserts value is L {
  if (!(value instanceof type)) {
    throw new TypeError(`${name} must be a ${type.name} of this queue: got ${show(value)}`);
  }
}
