/**
 * Lane: what one thread, or one async task of it, did to a shared object: operations one after another, in memory of their own.
 *
 * Real time comes from one counter that all lanes share, and not from a clock. A call is stamped with what the counter says, a
 * return adds one to it and is stamped with the sum; both are sequentially consistent. So if an operation's return has a stamp
 * that is at most the stamp of another one's call, then every access of the first came before every access of the second,
 * by the memory model alone. A clock gives no such order: to read one is no access of memory, so a thread may read it before
 * its last store is visible, and that the clocks of two processors agree is a promise of the system. The price: a return is
 * a fence. Only an order that was there counts as one, so that a history is never refused without a reason.
 *
 * A record is written in two parts, what was called before the call and the outcome after the return. Of a thread that was
 * terminated in between the outcome is missing: the operation may have taken effect, or not.
 */

/** What is done; a record has its place in the list. */
export type Verb =
  | 'none'
  | ('lock' | 'tryLock' | 'unlock' | 'recover' | 'settle')
  | ('put' | 'tryPut' | 'get' | 'tryGet' | 'close')
  | ('acquire' | 'tryAcquire' | 'release')
  | ('read' | 'tryRead' | 'unlockRead' | 'write' | 'tryWrite' | 'unlockWrite')
  | 'death';
const VERBS: readonly Verb[] = [
  'none',
  ...(['lock', 'tryLock', 'unlock', 'recover', 'settle'] as const),
  ...(['put', 'tryPut', 'get', 'tryGet', 'close'] as const),
  ...(['acquire', 'tryAcquire', 'release'] as const),
  ...(['read', 'tryRead', 'unlockRead', 'write', 'tryWrite', 'unlockWrite'] as const),
  'death',
];

/** Outcomes that are no value. */
export const REFUSED = -1; // a try that failed, or a wait whose time ran out
export const CLOSED = -2;
export const OWNER_DIED = -3;

/** One operation on an object. */
export interface Operation {
  readonly lane: number;
  readonly verb: Verb;
  readonly argument: number;
  /** Undefined when it never returned. */
  readonly outcome: number | undefined;
  readonly call: number;
  /** Infinity when it never returned. */
  readonly return: number;
}

const RECORD = 5; // words: verb, argument, outcome, call, return
const [VERB, ARGUMENT, OUTCOME, CALL, RETURN] = [0, 1, 2, 3, 4];

export function newClock(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4));
}

export function newLanes(lanes: number, operations: number): Int32Array[] {
  return Array.from({ length: lanes }, () => new Int32Array(new SharedArrayBuffer(operations * RECORD * 4)));
}

export class Lane {
  readonly #clock: Int32Array;
  readonly #words: Int32Array;
  #at = 0;

  constructor(clock: Int32Array, words: Int32Array) {
    this.#clock = clock;
    this.#words = words;
  }

  /** How many more operations it has room for. */
  get room(): number {
    return (this.#words.length - this.#at) / RECORD;
  }

  /** Stamps a call, for `begin`. */
  now(): number {
    return Atomics.load(this.#clock, 0);
  }

  /** Writes down what is called; where that is, for `end`. */
  begin(verb: Verb, argument: number, call: number = this.now()): number {
    const at = this.#at;
    this.#at += RECORD;
    this.#words[at + ARGUMENT] = argument;
    this.#words[at + CALL] = call;
    this.#words[at + VERB] = VERBS.indexOf(verb);
    return at;
  }

  /** Stamps a return, for `end`. */
  tick(): number {
    return Atomics.add(this.#clock, 0, 1) + 1;
  }

  end(at: number, outcome: number, returned: number = this.tick()): number {
    this.#words[at + OUTCOME] = outcome;
    this.#words[at + RETURN] = returned;
    return outcome;
  }

  /** Does it and writes it down; the outcome. */
  do(verb: Verb, argument: number, act: () => unknown): number {
    const at = this.begin(verb, argument);
    return this.end(at, outcomeOf(act));
  }

  async doAsync(verb: Verb, argument: number, act: () => Promise<unknown>): Promise<number> {
    const at = this.begin(verb, argument);
    return this.end(at, await act().then(codeOf, expected));
  }
}

/** The outcome of what gives a number, says no, or throws what must be expected. */
export function outcomeOf(act: () => unknown): number {
  try {
    return codeOf(act());
  } catch (error) {
    return expected(error);
  }
}

function codeOf(result: unknown): number {
  return typeof result === 'number' ? result : result === false ? REFUSED : 0;
}

const CODES: Record<string, number> = { ERR_TIMEOUT: REFUSED, ERR_CLOSED: CLOSED, ERR_OWNER_DIED: OWNER_DIED };

function expected(error: unknown): number {
  const code = CODES[(error as { code?: string }).code ?? ''];
  if (code === undefined) throw error;
  return code;
}

/** Whether so many operations were begun in a lane, which another thread writes just now. */
export function hasBegun(words: Int32Array, operations: number): boolean {
  return Atomics.load(words, (operations - 1) * RECORD + VERB) !== 0;
}

/** All operations of a recording, lane by lane. */
export function operationsOf(lanes: readonly Int32Array[]): Operation[] {
  return lanes.flatMap((words, lane) => {
    const operations: Operation[] = [];
    for (let at = 0; at < words.length && words[at + VERB] !== 0; at += RECORD) {
      const has = words[at + RETURN] !== 0;
      operations.push({
        lane,
        verb: VERBS[words[at + VERB] ?? 0] ?? 'none',
        argument: words[at + ARGUMENT] ?? 0,
        outcome: has ? words[at + OUTCOME] : undefined,
        call: words[at + CALL] ?? 0,
        return: has ? (words[at + RETURN] ?? 0) : Number.POSITIVE_INFINITY,
      });
    }
    return operations;
  });
}
