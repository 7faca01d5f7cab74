/**
 * Resident: what a thread of a pool does. It takes tasks from the ring as long as it has places for them; when there is none it
 * looks again and again for some microseconds, or for LINGER, and then waits in its event loop, so that timers, sockets and
 * promises that tasks left behind go on.
 */
import { type MessagePort, receiveMessageOnPort, type Transferable } from 'node:worker_threads';
import {
  AS_MESSAGE,
  LINE_SEEKING,
  LINE_SLOT,
  LINE_TAKEN,
  NO_TASK,
  NOT_RUN,
  RETURNED,
  TASK_ABORTED,
  TASK_ALONE,
  TASK_BEGAN,
  TASK_BEGUN,
  TASK_ENDED,
  TASK_FORM,
  TASK_LONG,
  TASK_MANY,
  TASK_MODE,
  TASK_NAME,
  TASK_PLACE_SHIFT,
  TASK_PROGRESS,
  TASK_QUEUED,
  TASK_RESULT,
  TASK_STATUS,
  THREW,
} from '../kernel/layout.ts';
import { CodecError } from '../memory/errors.ts';
import { attach, type Shared } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import { AGAIN, rest, spin, TRIES } from '../memory/wait.ts';
import { type Failure, pack, unpack } from './failure.ts';
import { isMoved, MOVED_VALUE, transfersOf } from './message.ts';
import { provideSignal } from './signal.ts';
import { AWAY, type Batch, LOOKING, now, SOON, Table, type TableParts } from './table.ts';

/** What the pool says to a thread. */
export type ToThread =
  | { readonly letter: number; readonly name: string; readonly payload: Shared<unknown> }
  | { readonly unsent: number }
  | { readonly abort: number; readonly failure: Failure['failure'] }
  | { readonly retire: true };

/** What a thread says to the pool, beside the results in the ring. */
export type ToPool =
  | { readonly fetch: number }
  | { readonly ended: number; readonly value: Shared<unknown> }
  | { readonly ended: number; readonly failure: Failure['failure'] };

/** What a thread is told when it becomes a resident. */
export interface Residence {
  readonly table: TableParts;
  /** Which line of the table is its own. */
  readonly place: number;
  /** How many tasks it runs at the same time. */
  readonly places: number;
  /** Whether it notes when each task began and ended. */
  readonly timed: boolean;
  readonly port: MessagePort;
}

/** How the thread finds and runs functions. */
export interface Workshop {
  /** The function of that name, once the module is loaded; throws a TaskError if there is none. */
  find(name: string): Callable;
  /** Whether the module is loaded. */
  readonly loaded: boolean;
  load(): Promise<unknown>;
  /** What of a result goes into a message; throws a TaskError if nothing can carry it. */
  asMessage(result: unknown, name: string): Shared<unknown>;
  /** Waits until what was printed is with the main thread; undefined if it is already. */
  printed(): Promise<void> | undefined;
}

type Callable = (...args: unknown[]) => unknown;
type Letter = Extract<ToThread, { letter: number }>;

/** After so many ms without a turn of the event loop a thread makes one. */
const LONGEST_TURN = 2;
/** A thread looks at the clock for that after so many tasks. */
const CLOCKED = 16;
/** Milliseconds that a thread looks, if its last sleep was not much longer and no other one looks. */
const LINGER = 0.2;
/** With so many results that the pool has not taken yet, it has enough to do, and will send as many tasks. */
const AHEAD = 32;
/** Milliseconds that a thread looks which is so far ahead: longer than the pool's garbage collection, and a wake costs the pool more. */
const LINGER_AHEAD = 1;
/** It rests so often between two looks: several tasks at a time keep the lines from going back and forth for each of them. */
const RESTS_AHEAD = 64;
/** A function of which a call takes less, in ms, is tiny: about as long as the pool needs to send one task and settle another. */
const TINY = 0.002;
/** What one call counts for at the most. */
const COUNTED = 8 * TINY;

/** A function of the module, and how long a call of it took lately, in ms. */
interface Known {
  readonly call: Callable;
  usual: number;
}

export class Resident {
  readonly #table: Table;
  readonly #kernel: Kernel;
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #workshop: Workshop;
  readonly #port: MessagePort;
  readonly #places: number;
  readonly #line: number;
  readonly #place: number;
  readonly #functions: Known[] = [];
  /** The states of a task that this thread has begun. */
  readonly #begun: number;
  readonly #aborted: number;
  readonly #timed: boolean;
  /** Names of functions that came by message. */
  readonly #names = new Map<number, string>();
  readonly #letters = new Map<number, (letter: Letter | undefined) => void>();
  readonly #aborters = new Map<number, AbortController>();
  /** Tasks that are running, and await something. */
  #running = 0;
  /** Taken, and waits until nothing else runs. */
  #held = NO_TASK;
  /** The running task must be alone. */
  #alone = false;
  /** The task whose function is on the stack, or the only one that this thread runs. */
  #current = NO_TASK;
  #parked = false;
  readonly #retirement = new AbortController();
  #turnEnds = 0;
  #tasksOfTurn = 0;
  /** The end of the last task, when nothing came between. */
  #clock = 0;
  /** What runs, when it is a function that has not returned. */
  #called: Known | undefined;
  #began = 0;
  /** What the line says to the pool. */
  #look = AWAY;
  #tiny = false;
  /** The last sleep was so short that looking for that long would have paid. */
  #lingers = false;
  #resting = false;

  constructor({ table, place, places, timed, port }: Residence, workshop: Workshop) {
    this.#table = new Table(table);
    const { kernel, i32, f64, slot, parker } = this.#table.region;
    this.#kernel = kernel;
    this.#i32 = i32;
    this.#f64 = f64;
    this.#workshop = workshop;
    this.#port = port;
    this.#places = places;
    this.#timed = timed;
    this.#begun = TASK_BEGUN | (place << TASK_PLACE_SHIFT);
    this.#aborted = TASK_ABORTED | (place << TASK_PLACE_SHIFT);
    this.#place = place;
    this.#line = this.#table.line(place);
    i32[(this.#line + LINE_SLOT) >> 2] = slot + 1;
    provideSignal(this.#signal);
    parker.blocking.add(this.#lookAway);
    port.on('message', this.#hear);
    port.unref(); // The port to piscina keeps the thread alive.
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#resting = false;
    this.#turnEnds = performance.now() + LONGEST_TURN;
    this.#tasksOfTurn = 0;
    this.#clock = 0;
    this.#pump();
  }

  /** Takes tasks while there are places, and none waits for the event loop. */
  #pump(): void {
    while (!this.#resting && !this.#parked && this.#hasPlace()) {
      const late = ++this.#tasksOfTurn % CLOCKED === 0 && performance.now() > this.#turnEnds;
      const task = late ? NO_TASK : this.#next();
      if (late) this.#rest();
      else if (task === NO_TASK) this.#park();
      else this.#begin(task);
    }
    if (!this.#hasPlace()) this.#lookAway();
  }

  #hasPlace(): boolean {
    return this.#held === NO_TASK ? this.#running < this.#places && !this.#alone : this.#running === 0;
  }

  #rest(): void {
    this.#resting = true;
    setImmediate(() => this.#turn());
  }

  #next(): number {
    if (this.#held !== NO_TASK) return this.#held;
    const task = this.#take();
    if (task !== NO_TASK || this.#running > 0) return task;
    return this.#search();
  }

  #take(): number {
    const i32 = this.#i32;
    const line = this.#line;
    i32[(line + LINE_SEEKING) >> 2] = 1;
    const task = this.#table.tasks.take();
    i32[(line + LINE_TAKEN) >> 2] = task + 1;
    i32[(line + LINE_SEEKING) >> 2] = 0;
    return task;
  }

  /**
   * Looks for some microseconds. One thread is enough for tiny tasks: a second one would only take a core from the pool, which
   * has as much to do with each of them.
   */
  #search(): number {
    this.#clock = 0;
    if (this.#tiny && this.#table.isLookedAt(this.#place)) return NO_TASK;
    if (this.#look === AWAY) this.#say(LOOKING);
    let found = this.#tiny && TRIES > 0 ? this.#lingerAhead() : AGAIN;
    if (found === AGAIN) found = spin(this.#takeIfReadable);
    if (found === AGAIN && this.#lingers) {
      const end = performance.now() + LINGER;
      while (found === AGAIN && performance.now() < end && !this.#table.isLookedAt(this.#place))
        found = spin(this.#takeIfReadable);
    }
    return found === AGAIN ? NO_TASK : found;
  }

  #lingerAhead(): number | typeof AGAIN {
    if (this.#table.results.size < AHEAD) return AGAIN;
    const end = performance.now() + LINGER_AHEAD;
    let found: number | typeof AGAIN = AGAIN;
    while (found === AGAIN && performance.now() < end) {
      for (let rests = 0; rests < RESTS_AHEAD; rests++) rest();
      found = this.#takeIfReadable();
    }
    return found;
  }

  #say(look: number): void {
    this.#look = look;
    this.#kernel.valueStore(this.#line, look);
  }

  /** The pool wakes nobody for tasks that a thread will look for soon: now it may take long, so others are woken for what is there. */
  readonly #lookAway = (): void => {
    if (this.#look === AWAY) return;
    this.#say(AWAY);
    const { tasks, region } = this.#table;
    if (tasks.awaited && tasks.readable) region.parker.wake(tasks.takers);
  };

  readonly #takeIfReadable = (): number | typeof AGAIN => {
    const task = this.#table.tasks.readable ? this.#take() : NO_TASK;
    return task === NO_TASK ? AGAIN : task;
  };

  /** Waits in the event loop for a task. */
  #park(): void {
    this.#lookAway();
    const since = performance.now();
    const { tasks, region } = this.#table;
    this.#parked = true;
    const attempt = (): number | typeof AGAIN => {
      const task = this.#take();
      return task === NO_TASK ? AGAIN : task;
    };
    const passOn = (): boolean => tasks.awaited && tasks.readable;
    const wait = { what: 'wait for a task', object: tasks.queue, set: tasks.takers, attempt, passOn };
    region.parker.wait(wait, { signal: this.#retirement.signal }).then(
      (task) => {
        this.#parked = false;
        this.#lingers = TRIES > 0 && performance.now() - since < 2 * LINGER;
        this.#turnEnds = performance.now() + LONGEST_TURN;
        this.#begin(task);
        this.#pump();
      },
      () => {}, // It retires.
    );
  }

  #begin(task: number): void {
    const record = this.#table.record(task);
    const alone = this.#mode(record, TASK_ALONE);
    if (alone && this.#running > 0) {
      this.#held = task;
      return;
    }
    this.#held = NO_TASK;
    const state = this.#kernel.valueExchange(record, TASK_QUEUED, this.#begun);
    this.#i32[(this.#line + LINE_TAKEN) >> 2] = 0;
    if (state !== TASK_QUEUED) {
      this.#publish(task, NOT_RUN);
      return;
    }
    this.#began = this.#clock || now();
    if (this.#timed) this.#f64[(record + TASK_BEGAN) >> 3] = this.#began;
    this.#alone = alone;
    const byMessage = this.#i32[(record + TASK_FORM) >> 2] === AS_MESSAGE;
    if (byMessage || !this.#workshop.loaded) this.#finishLater(task, this.#prepare(task, byMessage));
    else this.#run(task, record);
  }

  #run(task: number, record: number): void {
    let result: unknown;
    try {
      const known = this.#function(record);
      const payload = this.#table.read(record, TASK_LONG);
      this.#current = task;
      const isMany = this.#mode(record, TASK_MANY);
      this.#enter(isMany ? undefined : known);
      result = isMany ? this.#runMany(task, known.call, payload as unknown[]) : known.call(payload);
    } catch (thrown) {
      this.#fail(task, thrown);
      return;
    }
    if (isThenable(result)) this.#finishLater(task, result);
    else this.#succeed(task, result);
  }

  /** Before a function is called: of a tiny one it is known that this thread will soon look for tasks again. */
  #enter(known: Known | undefined): void {
    this.#called = known;
    this.#tiny = known !== undefined && known.usual < TINY;
    if (!this.#tiny) this.#lookAway();
    else if (this.#look !== SOON) this.#say(SOON);
  }

  #learn(known: Known, ran: number): void {
    known.usual += (Math.min(ran, COUNTED) - known.usual) / CLOCKED;
  }

  /** What it takes when the module is not loaded yet, or the payload comes by message. */
  async #prepare(task: number, byMessage: boolean): Promise<unknown> {
    const record = this.#table.record(task);
    const letter = byMessage ? await this.#fetch(task) : undefined;
    if (byMessage && !letter) return UNSENT;
    if (letter) this.#names.set(task, letter.name);
    await this.#workshop.load();
    const run = letter ? this.#workshop.find(letter.name) : this.#function(record).call;
    const payload = letter ? attach(letter.payload) : this.#table.read(record, TASK_LONG);
    this.#current = task;
    return this.#mode(record, TASK_MANY) ? this.#runMany(task, run, payload as unknown[]) : run(payload);
  }

  #mode(record: number, flag: number): boolean {
    return ((this.#i32[(record + TASK_MODE) >> 2] as number) & flag) !== 0;
  }

  /** Runs the function on one item after another; a sync one without a turn of the event loop. */
  #runMany(task: number, run: Callable, items: readonly unknown[], done: Many = new Many()): Many | Promise<Many> {
    const progress = (this.#table.record(task) + TASK_PROGRESS) >> 2;
    while (done.values.length < items.length && !this.#isAborted(task)) {
      const index = done.values.length;
      this.#i32[progress] = index + 1;
      try {
        const result = run(items[index]);
        if (isThenable(result)) return this.#awaitOne(task, run, items, done, result);
        done.values.push(result);
      } catch (thrown) {
        done.fail(thrown);
      }
    }
    return done;
  }

  async #awaitOne(
    task: number,
    run: Callable,
    items: readonly unknown[],
    done: Many,
    result: PromiseLike<unknown>,
  ): Promise<Many> {
    try {
      done.values.push(await result);
    } catch (thrown) {
      done.fail(thrown);
    }
    return this.#runMany(task, run, items, done);
  }

  #fetch(task: number): Promise<Letter | undefined> {
    return new Promise((resolve) => {
      this.#letters.set(task, resolve);
      this.#port.postMessage({ fetch: task } satisfies ToPool);
    });
  }

  #function(record: number): Known {
    const place = this.#i32[(record + TASK_NAME) >> 2] as number;
    const known = this.#functions[place];
    if (known) return known;
    const found = { call: this.#workshop.find(this.#table.readName(place)), usual: COUNTED };
    this.#functions[place] = found;
    return found;
  }

  #finishLater(task: number, result: unknown): void {
    this.#running++;
    this.#clock = 0;
    if (this.#called) this.#learn(this.#called, COUNTED);
    this.#called = undefined;
    this.#lookAway();
    if (this.#places > 1) this.#current = NO_TASK;
    const finish = (end: () => void): void => {
      this.#running--;
      end();
      this.#pump();
    };
    Promise.resolve(result).then(
      (value) => finish(() => (value === UNSENT ? this.#publish(task, NOT_RUN) : this.#succeed(task, value))),
      (thrown) => finish(() => this.#fail(task, thrown)),
    );
  }

  #succeed(task: number, result: unknown): void {
    try {
      const plain = result instanceof Many ? result.plain() : result;
      const moves = result instanceof Many ? result.values.some(isMoved) : isMoved(result);
      if (!moves && this.#written(this.#table.record(task), plain)) this.#end(task, RETURNED);
      else if (result instanceof Many) this.#postMany(task, result);
      else this.#post(task, result);
    } catch (thrown) {
      this.#fail(task, thrown);
    }
  }

  #fail(task: number, thrown: unknown): void {
    const failure = pack(thrown);
    if (this.#written(this.#table.record(task), failure)) this.#end(task, THREW);
    else this.#afterPrinting(() => this.#send({ ended: task, ...failure }));
  }

  /** Whether the record carries the value. */
  #written(record: number, value: unknown): boolean {
    try {
      return this.#table.write(record, TASK_RESULT, value);
    } catch (error) {
      if (error instanceof CodecError) return false; // A message may carry it; if not, it says why.
      throw error;
    }
  }

  #post(task: number, result: unknown): void {
    const sent = this.#workshop.asMessage(result, this.#nameOf(task));
    const value = isMoved(sent) ? (sent[MOVED_VALUE] as Shared<unknown>) : sent;
    this.#afterPrinting(() => this.#send({ ended: task, value }, isMoved(sent) ? transfersOf(sent) : []));
  }

  /** Results that no record carries: one that no message carries either fails by itself. */
  #postMany(task: number, many: Many): void {
    const transfers: Transferable[] = [];
    const sent = new Many(many.failures);
    for (const value of many.values) {
      try {
        const one = this.#workshop.asMessage(value, this.#nameOf(task));
        if (isMoved(one)) transfers.push(...transfersOf(one));
        sent.values.push(isMoved(one) ? one[MOVED_VALUE] : one);
      } catch (thrown) {
        sent.fail(thrown);
      }
    }
    this.#afterPrinting(() =>
      this.#send({ ended: task, value: sent.plain() as unknown as Shared<unknown> }, transfers),
    );
  }

  #nameOf(task: number): string {
    const place = (this.#table.record(task) + TASK_NAME) >> 2;
    return this.#names.get(task) ?? this.#table.readName(this.#i32[place] as number);
  }

  #send(message: Extract<ToPool, { ended: number }>, transfers: readonly Transferable[] = []): void {
    this.#leave(message.ended);
    if (this.#timed) this.#f64[(this.#table.record(message.ended) + TASK_ENDED) >> 3] = now();
    this.#port.postMessage(message, transfers);
  }

  #end(task: number, status: number): void {
    const printing = this.#workshop.printed();
    if (printing) this.#afterPrinting(() => this.#publish(task, status), printing);
    else this.#publish(task, status);
  }

  /** A thread that is terminated loses what it has printed and not handed on: the task is not done before. */
  #afterPrinting(end: () => void, printing: Promise<void> | undefined = this.#workshop.printed()): void {
    if (!printing) {
      end();
      return;
    }
    this.#running++;
    printing.then(() => {
      this.#running--;
      end();
      this.#pump();
    });
  }

  #publish(task: number, status: number): void {
    const record = this.#table.record(task);
    this.#clock = now();
    if (this.#timed) this.#f64[(record + TASK_ENDED) >> 3] = this.#clock;
    if (this.#called) this.#learn(this.#called, this.#clock - this.#began);
    this.#leave(task);
    this.#i32[(record + TASK_STATUS) >> 2] = status;
    const { results, region } = this.#table;
    if (results.put(task)) region.parker.wake(results.takers);
  }

  #leave(task: number): void {
    this.#alone = false;
    this.#called = undefined;
    if (this.#current === task) this.#current = NO_TASK;
    if (this.#names.size > 0) this.#names.delete(task);
    if (this.#aborters.size > 0) this.#aborters.delete(task);
  }

  readonly #hear = (message: ToThread): void => {
    if ('letter' in message) this.#open(message.letter, message);
    else if ('unsent' in message) this.#open(message.unsent, undefined);
    else if ('abort' in message) this.#abort(message.abort, attach(message.failure as Shared<Failure['failure']>));
    else if (this.#parked && this.#running === 0) this.#retire();
  };

  #open(task: number, letter: Letter | undefined): void {
    this.#letters.get(task)?.(letter);
    this.#letters.delete(task);
  }

  #retire(): void {
    this.#retirement.abort();
    const printing = this.#workshop.printed() ?? Promise.resolve();
    printing.then(() => process.exit(0));
  }

  #abort(task: number, failure: Failure['failure']): void {
    if (this.#isAborted(task)) this.#aborter(task).abort(unpack({ failure }));
  }

  #isAborted(task: number): boolean {
    return this.#kernel.valueLoad(this.#table.record(task)) === this.#aborted;
  }

  #aborter(task: number): AbortController {
    const known = this.#aborters.get(task);
    if (known) return known;
    const aborter = new AbortController();
    this.#aborters.set(task, aborter);
    return aborter;
  }

  /** For `taskSignal()`; nothing while no task runs that could be told from others. */
  readonly #signal = (): AbortSignal | undefined => {
    if (this.#current === NO_TASK) return undefined;
    const task = this.#current;
    const { signal } = this.#aborter(task);
    const look = (): void => {
      if (this.#isAborted(task)) this.#readPort();
    };
    return Object.hasOwn(signal, 'aborted') ? signal : lively(signal, look);
  };

  /** The reason of an abort is in a message, and this thread may be in a loop that never yields. */
  #readPort(): void {
    for (let next = receiveMessageOnPort(this.#port); next; next = receiveMessageOnPort(this.#port)) {
      this.#hear(next.message);
    }
  }
}

/** What became of the items of one task, in their order. */
class Many {
  readonly values: unknown[] = [];
  readonly failures: (readonly [number, Failure])[];

  constructor(failures: readonly (readonly [number, Failure])[] = []) {
    this.failures = [...failures];
  }

  /** The next item has failed. */
  fail(thrown: unknown): void {
    this.failures.push([this.values.length, pack(thrown)]);
    this.values.push(undefined);
  }

  plain(): Batch {
    return [this.values, this.failures];
  }
}

const UNSENT = Symbol('unsent');
const isNativelyAborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')?.get as () => boolean;

/** A signal that looks whether it is aborted when it is asked, and not only when the event loop turns. */
function lively(signal: AbortSignal, look: () => void): AbortSignal {
  const aborted = (): boolean => {
    if (!isNativelyAborted.call(signal)) look();
    return isNativelyAborted.call(signal);
  };
  const throwIfAborted = (): void => {
    if (aborted()) throw signal.reason;
  };
  Object.defineProperty(signal, 'aborted', { get: aborted });
  return Object.defineProperty(signal, 'throwIfAborted', { value: throwIfAborted });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  return typeof (value as { then?: unknown }).then === 'function';
}
