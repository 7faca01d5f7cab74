/**
 * A virtual thread: a program that calls the kernel, sleeps and wakes others, one step at a time.
 *
 * The program is a generator that yields requests. A call of the kernel runs until its next access of a shared word; there
 * the hook leaves the call, its locals on asyncify's stack, to be taken up again later. Those lie in the memory and are saved
 * with it. A generator cannot be copied: going back to an earlier point of it, it is made anew and told the same answers.
 */
import type { Kernel } from '../../../lib/memory/kernel.ts';
import type { Ground } from './ground.ts';
import { Hash } from './hash.ts';
import type { Instrumented } from './instrument.ts';

type Argument = number | bigint;

/** What a program asks for; all but `peek` and `note` are steps, a `call` one for each access. */
export type Request =
  | {
      readonly kind: 'call';
      readonly name: keyof Kernel;
      readonly args: readonly Argument[];
      /** After it the thread is as one that has seen just this: see stage.ts. */
      readonly becomes?: readonly number[];
    }
  /** Atomics.wait for PARKED: WOKEN, LATE, or CHANGED when the word was another. */
  | { readonly kind: 'sleep'; readonly word: number; readonly timed: boolean }
  /** Atomics.waitAsync for PARKED: 1, or 0 when the word was another. */
  | { readonly kind: 'listen'; readonly word: number }
  /** An event loop that has nothing to do until that is fulfilled: WOKEN, or LATE. */
  | { readonly kind: 'hear'; readonly timed: boolean }
  /** Atomics.notify. */
  | { readonly kind: 'notify'; readonly word: number }
  /** Is the deadline over? */
  | { readonly kind: 'expire' }
  /** A plain read of four bytes, or a plain write if there is a value. */
  | { readonly kind: 'touch'; readonly address: number; readonly value?: number }
  /** A read of what is this thread's own. */
  | { readonly kind: 'peek'; readonly address: number }
  /** A write of it, before a call that reads it. */
  | { readonly kind: 'poke'; readonly address: number; readonly value: number }
  /** Something that the scenario wants to know of. */
  | { readonly kind: 'note'; readonly note: Note };

export interface Note {
  readonly what: string;
  readonly value: number;
  /** Called at that instant; throws Failure. */
  readonly check?: () => void;
}

/** Acts one after another: of one that has ended, nothing but what it noted counts any more. */
export interface Script {
  readonly acts: number;
  /** What the act asks for next; it was given the answers from index `from` on. */
  after(act: number, answers: readonly number[], from: number): Request | undefined;
}

/** May hold no state outside of itself. */
export type Program = Generator<Request, void, number> | Script;

/** What a sleep says. */
export const WOKEN = 1;
export const LATE = 2;
export const CHANGED = 3;

export const READY = 1;
export const ASLEEP = 2;
export const DEAD = 3;
export const ENDED = 4;

/** What has become of a thread's waitAsync. */
export const NONE = 0;
export const PENDING = 1;
export const FULFILLED = 2;

/** The access that a thread makes in its next step. */
export interface Access {
  act: 'load' | 'store' | 'cmpxchg' | 'rmw' | 'fill' | 'none';
  atomic: boolean;
  address: number;
  size: number;
}

/** A thread at one of its steps, to come back to. */
export interface Saved {
  /** Makes its program. */
  write: () => Program;
  readonly access: Access;
  readonly seen: Hash;
  readonly before: Hash;
  state: number;
  request: Request | undefined;
  steps: number;
  /** Whether V8 may have ended it where it is, in the call. */
  isGuarded: boolean;
  /** NONE, PENDING, FULFILLED. */
  listening: number;
  answers: number;
  notes: number;
  /** Which of its acts it plays, */
  act: number;
  /** and the first answer that is for it. */
  from: number;
}

interface Exports extends Record<string, unknown> {
  asyncify_start_unwind(data: number): void;
  asyncify_stop_unwind(): void;
  asyncify_start_rewind(data: number): void;
  asyncify_stop_rewind(): void;
}

type Operation = (...args: readonly Argument[]) => number | bigint | undefined;

const POISON = 0x55555555; // what the kernel's globals hold when a call begins

function noProgram(): never {
  throw new Error('no program');
}

export class VirtualThread implements Saved {
  readonly slot: number;
  readonly record: number;
  readonly access: Access = { act: 'none', atomic: false, address: 0, size: 0 };
  /** What it got from its calls, and the locals of the one that it is in: all that decides how it goes on. */
  readonly seen: Hash = new Hash();
  /** The same at the beginning of the call it is in. */
  readonly before: Hash = new Hash();
  state: number = ENDED;
  request: Request | undefined;
  /** Steps of the call it is in. */
  steps = 0;
  isGuarded = false;
  act = 0;
  from = 0;
  listening: number = NONE;
  readonly said: Note[] = [];
  readonly #exports: Exports;
  readonly #i32: Int32Array;
  readonly #stack: { locals: number; start: number; end: number };
  readonly #globals: number; // bytes
  readonly #answers: number[] = [];
  write: () => Program = noProgram;
  #program: Program | undefined;
  #told = 0; // answers that the program has got
  #isLeft = false;
  #isResumed = false;

  /** `isStep` is asked at each access, whether it is one that others can see. */
  constructor(
    ground: Ground,
    { module, sites, globals }: Instrumented,
    slot: number,
    isStep: (thread: VirtualThread) => boolean,
    mutant: number,
  ) {
    this.slot = slot;
    this.record = ground.record(slot);
    this.#i32 = ground.i32;
    this.#stack = ground.stack(slot);
    this.#globals = globals;
    const { access } = this;
    const hook = (site: number, base: number, length: number): void => {
      if (this.#isResumed) {
        this.#isResumed = false;
        this.#exports.asyncify_stop_rewind();
        return;
      }
      const { act, atomic, offset, size } = sites[site] as (typeof sites)[number];
      access.act = act;
      access.atomic = atomic;
      access.address = base + offset;
      access.size = act === 'fill' ? length : size;
      if (isStep(this)) this.#leave();
    };
    const guard = (): void => {
      this.isGuarded = true;
    };
    const env = { memory: ground.memory, hook, guard, mutant, locals: this.#stack.locals };
    this.#exports = new WebAssembly.Instance(module, { env } as never).exports as Exports;
  }

  get answers(): number {
    return this.#answers.length;
  }

  get notes(): number {
    return this.said.length;
  }

  /** It has no program, and has said nothing. */
  rest(): void {
    this.state = ENDED;
    this.#answers.length = 0;
    this.said.length = 0;
    this.listening = NONE;
    this.seen.reset();
  }

  /** Starts a program, up to its first step; one that is not the thread's first must be a script. */
  start(write: () => Program): void {
    this.write = write;
    this.#program = undefined;
    this.act = 0;
    this.from = this.#answers.length; // those before may be needed to go back
    this.listening = NONE;
    this.seen.reset();
    this.before.reset();
    this.#advance();
  }

  /** It is dead: what it noted counts, and in which call it was. */
  forget(): void {
    this.seen.reset();
    for (const { value } of this.said) this.seen.add(value);
    const { request } = this;
    for (const letter of request?.kind === 'call' ? request.name : '') this.seen.add(letter.charCodeAt(0));
    this.seen.add(this.access.address);
  }

  /** Goes on after a step that was no access of the kernel. */
  answer(answer: number): void {
    this.seen.add(answer);
    this.#answers.push(answer);
    this.#advance();
  }

  /** Takes up the call that was left: makes its access and goes on. */
  resume(): void {
    if (this.request?.kind !== 'call') return;
    this.#isLeft = false;
    this.isGuarded = false;
    this.#isResumed = true;
    this.#exports.asyncify_start_rewind(this.#stack.start);
    const { name, args } = this.request; // the arguments are not looked at again, but a bigint must be one
    const result = (this.#exports[name] as Operation)(...args);
    if (this.#isLeft) this.#hold();
    else this.#returned(result);
  }

  /** Runs a call at once, none of whose accesses is a step. */
  solo(name: keyof Kernel, ...args: readonly Argument[]): number {
    return Number(this.#begin(name, args) ?? 0);
  }

  /** Back to an earlier point of the same run. */
  restore(saved: Saved): void {
    copyAccess(saved.access, this.access);
    this.seen.copy(saved.seen);
    this.before.copy(saved.before);
    this.state = saved.state;
    this.request = saved.request;
    this.steps = saved.steps;
    this.isGuarded = saved.isGuarded;
    this.act = saved.act;
    this.from = saved.from;
    this.listening = saved.listening;
    this.said.length = saved.notes;
    this.#answers.length = saved.answers;
    const isAhead = this.#told > saved.answers;
    if (isAhead && this.#program && !('after' in this.#program)) this.#program = undefined;
    if (saved.write !== this.write) this.#program = undefined;
    this.write = saved.write;
  }

  #advance(): void {
    this.state = READY;
    this.access.act = 'none';
    for (;;) {
      const request = this.#next();
      this.request = request;
      if (request === undefined) {
        this.state = ENDED;
        return;
      }
      this.before.copy(this.seen);
      if (request.kind === 'call') {
        const result = this.#begin(request.name, request.args);
        if (this.#isLeft) return;
        this.#noteResult(result);
      } else if (!this.#isDone(request)) return;
    }
  }

  /** Does what is no step. */
  #isDone(request: Request): boolean {
    if (request.kind === 'peek') {
      const value = this.#i32[request.address >> 2] as number;
      this.seen.add(value);
      this.#answers.push(value);
      return true;
    }
    if (request.kind === 'note') {
      this.said.push(request.note);
      request.note.check?.();
    } else if (request.kind === 'poke') this.#i32[request.address >> 2] = request.value;
    else return false;
    this.#answers.push(0);
    return true;
  }

  #next(): Request | undefined {
    if (this.#program === undefined) {
      this.#program = this.write();
      this.#told = 0;
      if ('after' in this.#program) return this.#play(this.#program);
      if (this.#answers.length === 0) return this.#program.next(0).value ?? undefined;
      this.#program.next(0);
    }
    if ('after' in this.#program) return this.#play(this.#program);
    for (; this.#told < this.#answers.length - 1; this.#told++) this.#program.next(this.#answers[this.#told] as number);
    return this.#program.next(this.#answers[this.#told++] as number).value ?? undefined;
  }

  #play(script: Script): Request | undefined {
    for (; this.act < script.acts; this.act++) {
      const request = script.after(this.act, this.#answers, this.from);
      if (request) return request;
      this.from = this.#answers.length;
      this.seen.reset();
      this.seen.add(this.act);
      for (const { value } of this.said) this.seen.add(value);
    }
    return undefined;
  }

  #begin(name: keyof Kernel, args: readonly Argument[]): number | bigint | undefined {
    this.#isLeft = false;
    this.steps = 0;
    const { locals, start } = this.#stack;
    this.#i32.fill(POISON, locals >> 2, start >> 2);
    const result = (this.#exports[name] as Operation)(...args);
    if (this.#isLeft) this.#hold();
    return result;
  }

  #returned(result: number | bigint | undefined): void {
    this.#noteResult(result);
    this.#advance();
  }

  /** Of what it saw in a call only the result counts afterwards. */
  #noteResult(said: number | bigint = 0): void {
    const result = Number(said);
    const becomes = this.request?.kind === 'call' ? this.request.becomes : undefined;
    if (becomes) {
      this.seen.reset();
      for (const value of becomes) this.seen.add(value);
    } else {
      this.seen.copy(this.before);
      this.seen.add(result);
    }
    this.#answers.push(result);
    this.access.act = 'none';
  }

  /** The call was left: its locals lie on asyncify's stack, those that matter still. */
  #hold(): void {
    this.#exports.asyncify_stop_unwind();
    const { locals, start } = this.#stack;
    const { seen } = this;
    seen.copy(this.before);
    seen.add(this.access.address);
    for (let at = (start >> 2) + 2; at < (this.#i32[start >> 2] as number) >> 2; at++)
      seen.add(this.#i32[at] as number);
    for (let at = locals >> 2; at < (locals + this.#globals) >> 2; at++) seen.add(this.#i32[at] as number);
  }

  #leave(): void {
    const { start, end } = this.#stack;
    this.#i32[start >> 2] = start + 8;
    this.#i32[(start >> 2) + 1] = end;
    this.#isLeft = true;
    this.#exports.asyncify_start_unwind(start);
  }
}

function copyAccess(from: Access, to: Access): void {
  to.act = from.act;
  to.atomic = from.atomic;
  to.address = from.address;
  to.size = from.size;
}

export function newSaved(): Saved {
  const access: Access = { act: 'none', atomic: false, address: 0, size: 0 };
  const [seen, before] = [new Hash(), new Hash()];
  const none = {
    request: undefined,
    steps: 0,
    isGuarded: false,
    listening: NONE,
    answers: 0,
    notes: 0,
    act: 0,
    from: 0,
    write: noProgram,
  };
  return { access, seen, before, state: ENDED, ...none };
}

export function save(thread: Saved, into: Saved): void {
  into.write = thread.write;
  copyAccess(thread.access, into.access);
  into.seen.copy(thread.seen);
  into.before.copy(thread.before);
  into.state = thread.state;
  into.request = thread.request;
  into.steps = thread.steps;
  into.isGuarded = thread.isGuarded;
  into.listening = thread.listening;
  into.answers = thread.answers;
  into.notes = thread.notes;
  into.act = thread.act;
  into.from = thread.from;
}
