/**
 * Resident: what a thread of a pool does. It takes tasks from the ring as long as it has places for them; when there is none it
 * looks again and again for some microseconds, or longer, and then waits in its event loop, so that timers, sockets and
 * promises that tasks left behind go on.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import {
  AS_MESSAGE,
  NO_TASK,
  TASK_ALONE,
  TASK_BEGAN,
  TASK_BEGUN,
  TASK_FORM,
  TASK_LONG,
  TASK_MANY,
  TASK_MODE,
  TASK_NAME,
  TASK_PLACE_SHIFT,
  TASK_PROGRESS,
  TASK_QUEUED,
} from '../kernel/layout.ts';
import { attach, type Shared } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import { Aborts } from './aborts.ts';
import type { Failure } from './failure.ts';
import { type Callable, isThenable, Many } from './many.ts';
import { type Packer, Reporter, type Runner } from './reporter.ts';
import type { Residence, ToPool, ToThread } from './residence.ts';
import { Seeker } from './seeker.ts';
import { provideSignal } from './signal.ts';
import { now, Table } from './table.ts';

/** How the thread finds and runs functions. */
export interface Workshop extends Packer {
  /** The function of that name, once the module is loaded; throws a TaskError if there is none. */
  find(name: string): Callable;
  /** Whether the module is loaded. */
  readonly loaded: boolean;
  load(): Promise<unknown>;
}

type Letter = Extract<ToThread, { letter: number }>;

/** After so many ms without a turn of the event loop a thread makes one. */
const LONGEST_TURN = 2;
/** A thread looks at the clock for that after so many tasks. */
const CLOCKED = 16;
/** A function of which a call takes less, in ms, is tiny: about as long as the pool needs to send one task and settle another. */
const TINY = 0.002;
/** What one call counts for at the most. */
const COUNTED = 8 * TINY;

/** A function of the module, and how long a call of it took lately, in ms. */
interface Known {
  readonly call: Callable;
  usual: number;
}

export class Resident implements Runner {
  readonly #table: Table;
  readonly #kernel: Kernel;
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #workshop: Workshop;
  readonly #port: MessagePort;
  readonly #places: number;
  readonly #seeker: Seeker;
  readonly #reporter: Reporter;
  readonly #aborts: Aborts;
  readonly #functions: Known[] = [];
  /** The state of a task that this thread has begun. */
  readonly #begun: number;
  readonly timed: boolean;
  readonly #letters = new Map<number, (letter: Letter | undefined) => void>();
  /** Tasks that are running, and await something. */
  #running = 0;
  /** Taken, and waits until nothing else runs. */
  #held = NO_TASK;
  /** The running task must be alone. */
  #alone = false;
  /** The task whose function is on the stack, or the only one that this thread runs. */
  #current = NO_TASK;
  #parked = false;
  #turnEnds = 0;
  #tasksOfTurn = 0;
  /** The end of the last task, when nothing came between. */
  #clock = 0;
  /** What runs, when it is a function that has not returned. */
  #called: Known | undefined;
  #began = 0;
  #resting = false;

  constructor({ table, place, places, timed, port }: Residence, workshop: Workshop) {
    this.#table = new Table(table);
    const { kernel, i32, f64 } = this.#table.region;
    this.#kernel = kernel;
    this.#i32 = i32;
    this.#f64 = f64;
    this.#workshop = workshop;
    this.#port = port;
    this.#places = places;
    this.timed = timed;
    this.#begun = TASK_BEGUN | (place << TASK_PLACE_SHIFT);
    this.#seeker = new Seeker(this.#table, place);
    this.#reporter = new Reporter(this.#table, port, workshop, this);
    this.#aborts = new Aborts(this.#table, place, () => this.#readPort());
    provideSignal(() => (this.#current === NO_TASK ? undefined : this.#aborts.signal(this.#current)));
    port.on('message', this.#hear);
    port.unref(); // The port to piscina keeps the thread alive.
    setImmediate(() => this.#turn());
  }

  // From task to task.

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
    if (!this.#hasPlace()) this.#seeker.lookAway();
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
    const task = this.#seeker.take();
    if (task !== NO_TASK || this.#running > 0) return task;
    this.#clock = 0;
    return this.#seeker.search();
  }

  #park(): void {
    this.#parked = true;
    this.#seeker.wait().then(
      (task) => {
        this.#parked = false;
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
    this.#seeker.begun();
    if (state !== TASK_QUEUED) {
      this.#reporter.giveBack(task);
      return;
    }
    this.#began = this.#clock || now();
    if (this.timed) this.#f64[(record + TASK_BEGAN) >> 3] = this.#began;
    this.#alone = alone;
    const byMessage = this.#i32[(record + TASK_FORM) >> 2] === AS_MESSAGE;
    if (byMessage || !this.#workshop.loaded) this.#finishLater(task, this.#prepare(task, byMessage));
    else this.#run(task, record);
  }

  #mode(record: number, flag: number): boolean {
    return ((this.#i32[(record + TASK_MODE) >> 2] as number) & flag) !== 0;
  }

  // One task.

  #run(task: number, record: number): void {
    let result: unknown;
    try {
      const known = this.#function(record);
      const payload = this.#table.read(record, TASK_LONG);
      this.#current = task;
      const isMany = this.#mode(record, TASK_MANY);
      this.#called = isMany ? undefined : known;
      this.#seeker.enter(!isMany && known.usual < TINY);
      result = isMany ? this.#runMany(task, known.call, payload as unknown[]) : known.call(payload);
    } catch (thrown) {
      this.#reporter.fail(task, thrown);
      return;
    }
    if (isThenable(result)) this.#finishLater(task, result);
    else this.#reporter.succeed(task, result);
  }

  #function(record: number): Known {
    const place = this.#i32[(record + TASK_NAME) >> 2] as number;
    const known = this.#functions[place];
    if (known) return known;
    const found = { call: this.#workshop.find(this.#table.readName(place)), usual: COUNTED };
    this.#functions[place] = found;
    return found;
  }

  #learn(known: Known, ran: number): void {
    known.usual += (Math.min(ran, COUNTED) - known.usual) / CLOCKED;
  }

  #runMany(task: number, call: Callable, items: readonly unknown[]): Many | Promise<Many> {
    const progress = (this.#table.record(task) + TASK_PROGRESS) >> 2;
    const isGoingOn = (): boolean => !this.#aborts.isAborted(task);
    return new Many().run(call, items, isGoingOn, (index) => {
      this.#i32[progress] = index + 1;
    });
  }

  /** What it takes when the module is not loaded yet, or the payload comes by message. */
  async #prepare(task: number, byMessage: boolean): Promise<unknown> {
    const record = this.#table.record(task);
    const letter = byMessage ? await this.#fetch(task) : undefined;
    if (byMessage && !letter) return UNSENT;
    if (letter) this.#reporter.name(task, letter.name);
    await this.#workshop.load();
    const run = letter ? this.#workshop.find(letter.name) : this.#function(record).call;
    const payload = letter ? attach(letter.payload) : this.#table.read(record, TASK_LONG);
    this.#current = task;
    return this.#mode(record, TASK_MANY) ? this.#runMany(task, run, payload as unknown[]) : run(payload);
  }

  #fetch(task: number): Promise<Letter | undefined> {
    return new Promise((resolve) => {
      this.#letters.set(task, resolve);
      this.#port.postMessage({ fetch: task } satisfies ToPool);
    });
  }

  #finishLater(task: number, result: unknown): void {
    this.#running++;
    this.#clock = 0;
    if (this.#called) this.#learn(this.#called, COUNTED);
    this.#called = undefined;
    this.#seeker.lookAway();
    if (this.#places > 1) this.#current = NO_TASK;
    const finish = (end: () => void): void => {
      this.#running--;
      end();
      this.#pump();
    };
    Promise.resolve(result).then(
      (value) => finish(() => (value === UNSENT ? this.#reporter.giveBack(task) : this.#reporter.succeed(task, value))),
      (thrown) => finish(() => this.#reporter.fail(task, thrown)),
    );
  }

  /** @internal For the reporter. */
  finishAfter(promise: Promise<void>, end: () => void): void {
    this.#running++;
    promise.then(() => {
      this.#running--;
      end();
      this.#pump();
    });
  }

  /** @internal For the reporter. */
  leave(task: number): number {
    this.#clock = now();
    if (this.#called) this.#learn(this.#called, this.#clock - this.#began);
    this.#called = undefined;
    this.#alone = false;
    if (this.#current === task) this.#current = NO_TASK;
    this.#aborts.forget(task);
    return this.#clock;
  }

  // Messages of the pool.

  readonly #hear = (message: ToThread): void => {
    if ('letter' in message) this.#open(message.letter, message);
    else if ('unsent' in message) this.#open(message.unsent, undefined);
    else if ('abort' in message)
      this.#aborts.abort(message.abort, attach(message.failure as Shared<Failure['failure']>));
    else if (this.#parked && this.#running === 0) this.#retire();
  };

  #open(task: number, letter: Letter | undefined): void {
    this.#letters.get(task)?.(letter);
    this.#letters.delete(task);
  }

  #retire(): void {
    this.#seeker.retire();
    const printing = this.#workshop.printed() ?? Promise.resolve();
    printing.then(() => process.exit(0));
  }

  #readPort(): void {
    for (let next = receiveMessageOnPort(this.#port); next; next = receiveMessageOnPort(this.#port)) {
      this.#hear(next.message);
    }
  }
}

const UNSENT = Symbol('unsent');
