/**
 * Stage: runs the TypeScript that ships on a virtual thread: Semaphore, RwLock, Parker, the supervisor, as they are.
 *
 * Source: record and replay, as in rr (O'Callahan and others, "Engineering Record and Replay for Deployability", 2017).
 *
 * The code is synchronous and cannot be left in the middle. So it is run again for each of its calls of the kernel: it gets
 * the answers that it has got before, and the first call that has no answer yet is thrown out of it and becomes the
 * thread's next request. The kernel, the sleep, the notify and the clocks are stand-ins that do so.
 *
 * Invariant: all that the code learns comes through an answer, or is constant; whatever it holds itself is made anew each time.
 *
 * An act may be asynchronous: it ends when its promise is settled. Its microtasks are run at once, in V8's own queue; when
 * there are none, the thread is idle until its `waitAsync` is fulfilled or one of its timers has run out. V8 runs no
 * microtasks inside of a microtask, so a search of such acts must be called from a turn of its own: see `inTurn`.
 *
 * Two histories that leave the same behind are one state. Of an act that is over only its notes are left. And who has slept
 * is, when it registers again, as it was when it did so first, but for the clock and the slot that it woke last.
 */
import './one-core.ts';
import { setFlagsFromString } from 'node:v8';
import {
  OBJECT_KIND,
  OBJECT_SERIAL,
  REGION_BYTES,
  REGION_THREADS,
  REGION_TICKETS,
} from '../../../lib/kernel/layout.ts';
import { InvalidHandleError, TimeoutError } from '../../../lib/memory/errors.ts';
import { LivePlace } from '../../../lib/memory/handles.ts';
import type { Kernel } from '../../../lib/memory/kernel.ts';
import type { Region } from '../../../lib/memory/region.ts';
import { bury, endedWith, type Ward } from '../../../lib/memory/supervisor.ts';
import { Parker, TRIES } from '../../../lib/memory/wait.ts';
import { WaitGraph } from '../../../lib/memory/waitgraph.ts';
import { Broadcast } from '../../../lib/queue/broadcast.ts';
import { Connection } from '../../../lib/queue/pipe.ts';
import { Queue } from '../../../lib/queue/queue.ts';
import { Subscription } from '../../../lib/queue/subscription.ts';
import { Barrier } from '../../../lib/sync/barrier.ts';
import { Condition } from '../../../lib/sync/condition.ts';
import { Event } from '../../../lib/sync/event.ts';
import { Latch } from '../../../lib/sync/latch.ts';
import { Mutex } from '../../../lib/sync/mutex.ts';
import { RLock } from '../../../lib/sync/rlock.ts';
import { RwLock } from '../../../lib/sync/rwlock.ts';
import { Semaphore } from '../../../lib/sync/semaphore.ts';
import { type Ground, SHARED } from './ground.ts';
import { Failure, type Machine, REPAIRER } from './machine.ts';
import type { Protocol } from './programs.ts';
import { LATE, type Note, type Request, type Script, WOKEN } from './thread.ts';

if (TRIES > 0) throw new Error('wait.ts was loaded before one-core.ts: threads would spin');

/** The classes of the library; a mutant replaces some. */
export interface Classes {
  readonly Parker: typeof Parker;
  readonly WaitGraph: typeof WaitGraph;
  readonly bury: typeof bury;
  readonly Barrier: typeof Barrier;
  readonly Broadcast: typeof Broadcast;
  readonly Condition: typeof Condition;
  readonly Connection: typeof Connection;
  readonly Event: typeof Event;
  readonly Latch: typeof Latch;
  readonly Mutex: typeof Mutex;
  readonly Queue: typeof Queue;
  readonly RLock: typeof RLock;
  readonly RwLock: typeof RwLock;
  readonly Semaphore: typeof Semaphore;
  readonly Subscription: typeof Subscription;
}

const synchronization = { Barrier, Condition, Event, Latch, Mutex, RLock, RwLock, Semaphore };
const queues = { Broadcast, Connection, Queue, Subscription };
const shippedClasses: Classes = { Parker, WaitGraph, bury, ...synchronization, ...queues };

type Noted = Readonly<Record<string, (answer: number) => number>>;
type Taking = Readonly<Record<string, (stage: Stage) => void>>;

interface SceneOptions {
  /** How many threads the region has room for. */
  readonly threads: number;
  /** The slots of the supervisors; by default there is one. */
  readonly supervisors?: readonly number[] | undefined;
  /** Threads publish what they wait for, and look for deadlocks. */
  readonly publishes?: boolean;
  /** What is noted of answers of the kernel, under the name of the call; a 0 is not. */
  readonly noted?: Noted;
  /** What a thread does at once after a call that has taken something for it: it must `keep` what lies in its memory then. */
  readonly taking?: Taking;
  /** Deadlocks are noted as `deadlock`, and who has found one waits on all the same: what comes of it shows whether it was one. */
  readonly ignoresDeadlocks?: boolean;
  readonly protocol?: Protocol | undefined;
}

/** What the threads of a scenario have in common. */
export class Scene {
  readonly ground: Ground;
  readonly operations: readonly string[];
  readonly classes: Classes;
  readonly publishes: boolean;
  readonly noted: Noted;
  readonly taking: Taking;
  readonly ignoresDeadlocks: boolean;
  readonly dropped: Readonly<Record<string, number>>;
  readonly objects: { readonly offset: number; readonly kind: number }[] = [];

  constructor({ ground, operations }: Machine, options: SceneOptions) {
    const { threads, publishes = false, noted = {}, taking = {}, protocol, supervisors = [REPAIRER] } = options;
    this.ground = ground;
    this.operations = operations;
    this.classes = { ...shippedClasses, ...protocol?.classes };
    this.publishes = publishes;
    this.noted = noted;
    this.taking = taking;
    this.ignoresDeadlocks = options.ignoresDeadlocks ?? false;
    this.dropped = protocol?.dropped ?? {};
    ground.slots(threads, supervisors);
    if (publishes) ground.shared(REGION_TICKETS, 8);
    else ground.withoutWaits();
  }

  /** Lays out an object; each has a serial of its own. */
  object(kind: number, bytes: number): number {
    const at = this.ground.take(bytes);
    this.ground.set(at + OBJECT_SERIAL, 5 + this.objects.length);
    this.knows(at, kind);
    return at;
  }

  /** An object that was laid out elsewhere is one of the region's. */
  knows(at: number, kind: number): void {
    this.ground.set(at + OBJECT_KIND, kind);
    this.ground.constant(at, 8);
    this.objects.push({ offset: at, kind });
  }

  /** A word that threads touch by plain accesses. */
  word(name: string): number {
    const at = this.ground.take(4);
    this.ground.name({ name, at, bytes: 4 });
    return at;
  }

  play(slot: number, ...acts: readonly Act[]): Script {
    return new Stage(this, slot, acts);
  }

  /** A supervisor buries a thread, and those that ended with it, as `threadExited` of a region does. */
  readonly burial = ({ slot }: { readonly slot: number }, supervisor: { readonly slot: number }): Script =>
    this.play(supervisor.slot, ({ region }) => {
      const ward = { ...region, objects: () => this.objects } as unknown as Ward;
      this.classes.bury(ward, slot, slot + 1);
      for (const claim of endedWith(ward, slot + 1)) this.classes.bury(ward, claim - 1, claim);
    });
}

/** Part of what a thread does. The next one begins with nothing but what was noted. Of asynchronous acts a thread has one. */
export type Act = (stage: Stage) => void | Promise<void>;

const SUSPENDED = Symbol('suspended');
const LONG = 1000; // ms, by which the clock is put on when a deadline is over

let playing: Stage | undefined;

/** One thread's part. */
export class Stage implements Script {
  readonly slot: number;
  readonly #scene: Scene;
  readonly #acts: readonly Act[];
  readonly kernel: Kernel;
  #answers: readonly number[] = [];
  #told = 0;
  #act = 0;
  #from = 0;
  #waitsIn = 0; // the wait set in which it registered first,
  #before = 0; // with so many answers till then
  #woken = 0; // slot + 1
  #deadlocks = 0; // that it has found
  #asked: Request | undefined;
  readonly #last = new Map<number, number>(); // what was in its memory before the code ran again
  #time = 0;
  #looks = false; // the clock may say that it is late,
  #hasDeadline = false; // once a deadline was made
  #isAsync = false;
  #heard: (() => void) | undefined; // what its waitAsync runs
  readonly #timers = new Map<object, () => void>();
  #error: unknown; // of a microtask
  #region: Region | undefined;

  constructor(scene: Scene, slot: number, acts: readonly Act[]) {
    this.slot = slot;
    this.#scene = scene;
    this.#acts = acts;
    this.kernel = Object.fromEntries(
      scene.operations.map((name) => [name, (...args: number[]) => this.#call(name as keyof Kernel, args)]),
    ) as unknown as Kernel;
  }

  get acts(): number {
    return this.#acts.length;
  }

  after(act: number, answers: readonly number[], from: number): Request | undefined {
    this.#answers = answers;
    this.#told = from;
    this.#from = from;
    this.#waitsIn = 0;
    this.#woken = 0;
    this.#deadlocks = 0;
    this.#act = act;
    this.#asked = undefined;
    this.#time = 0;
    this.#looks = false;
    this.#region = undefined;
    this.#isAsync = false;
    this.#heard = undefined;
    this.#timers.clear();
    this.#last.clear();
    this.#error = undefined;
    playing = this;
    try {
      const promise = this.#acts[act]?.(this);
      if (promise) this.#turn(promise);
    } catch (error) {
      if (!this.#asked) throw new Failure(`thread ${this.slot}: ${error}`);
    } finally {
      playing = undefined;
    }
    return this.#asked;
  }

  /** The event loop, until the promise is settled. */
  #turn(promise: Promise<void>): void {
    this.#isAsync = true;
    let isSettled = false;
    const settle = (error?: unknown): void => {
      isSettled = true;
      this.#error ??= error;
    };
    promise.then(() => settle(), settle);
    for (;;) {
      runMicrotasks();
      if (this.#asked) throw SUSPENDED;
      if (this.#error) throw this.#error;
      if (isSettled) return;
      const said = this.ask({ kind: 'hear', timed: this.#timers.size > 0 });
      if (said === LATE) this.#runOut();
      else this.#heard?.();
    }
  }

  /** The first timer. */
  #runOut(): void {
    const [first] = this.#timers;
    if (!first) throw new Error('no timer runs');
    const [timer, run] = first;
    this.#timers.delete(timer);
    this.#time += LONG;
    run();
  }

  setTimer(run: () => void): object {
    const timer = {};
    this.#timers.set(timer, this.guarded(run));
    return timer;
  }

  clearTimer(timer: object): void {
    this.#timers.delete(timer);
  }

  /** Atomics.waitAsync. */
  listen(word: number): { async: boolean; value: unknown } {
    if (this.ask({ kind: 'listen', word }) === 0) return { async: false, value: 'not-equal' };
    const then = (run: () => void): void => {
      this.#heard = this.guarded(run);
    };
    return { async: true, value: { then } };
  }

  /** The same, but what it throws is the stage's. */
  guarded(run: () => void): () => void {
    return () => {
      try {
        run();
      } catch (error) {
        if (!this.#asked) this.#error ??= error;
      }
    };
  }

  /** The answer, if it was given; else nothing goes on here until it is. */
  ask(request: Request): number {
    if (this.#asked) throw SUSPENDED;
    if (this.#told < this.#answers.length) return this.#answers[this.#told++] as number;
    this.#asked = request;
    throw SUSPENDED;
  }

  #call(name: keyof Kernel, args: readonly number[]): number {
    const { dropped, noted, taking } = this.#scene;
    const instead = dropped[name];
    if (instead !== undefined) return instead;
    const call = { kind: 'call', name, args: args.map(Number) } as const;
    if (name === 'register' && this.#waitsIn !== args[0]) {
      this.#waitsIn = args[0] ?? 0;
      this.#before = this.#told;
    } else if (name === 'unregister' && args[0] === this.#waitsIn) this.#waitsIn = 0;
    const answer = this.ask(name === 'parkEnd' && !this.#isAsync ? { ...call, becomes: this.#lasting() } : call);
    if (name === 'takeWaiter') this.#woken = answer + 1;
    const value = noted[name]?.(answer) ?? 0;
    if (value !== 0) this.note(name, value);
    if (answer > 0) taking[name]?.(this);
    return answer;
  }

  /** What a call has just put into this thread's own memory, which later ones may put something else over. */
  keep(address: number): number {
    const { ground } = this.#scene;
    if (this.#told === this.#answers.length) for (const [at, value] of this.#last) ground.set(at, value);
    const value = this.ask({ kind: 'peek', address });
    if (!this.#last.has(address)) this.#last.set(address, ground.get(address));
    ground.set(address, value);
    return value;
  }

  /** What is left of what it knows when it has slept. */
  #lasting(): number[] {
    return [this.#act, this.#time, this.#woken, this.#deadlocks, ...this.#answers.slice(this.#from, this.#before)];
  }

  note(what: string, value = 0, check?: () => void): void {
    const note: Note = check ? { what, value, check } : { what, value };
    this.ask({ kind: 'note', note });
  }

  /** A plain read of four bytes, or a write. */
  touch(address: number, value?: number): number {
    return this.ask(value === undefined ? { kind: 'touch', address } : { kind: 'touch', address, value });
  }

  /** Adds to a plain word: two who do so at once are a race. */
  raise(address: number): void {
    this.touch(address, this.touch(address) + 1);
  }

  /** Runs something that may throw, but for the thread's own end. The error, if there was one. */
  tries<E extends Error>(run: () => void, ...expected: readonly (abstract new (...args: never) => E)[]): E | undefined {
    try {
      run();
      return undefined;
    } catch (error) {
      if (this.#asked) throw SUSPENDED;
      if (expected.some((kind) => error instanceof kind)) return error as E;
      throw error;
    }
  }

  /** Runs something with a timeout, which may be over at any look at the clock. */
  timed<R>(run: () => R): R {
    this.#looks = true;
    this.#hasDeadline = false;
    try {
      return run();
    } finally {
      this.#looks = false;
    }
  }

  /** Whether a promise was rejected since its time was up. */
  async isLate(promise: Promise<unknown>): Promise<boolean> {
    try {
      await promise;
      return false;
    } catch (error) {
      if (error instanceof TimeoutError) return true;
      throw error;
    }
  }

  /** performance.now(): the first look in `timed` only makes the deadline. */
  now(): number {
    if (!this.#looks) return this.#time;
    if (!this.#hasDeadline) {
      this.#hasDeadline = true;
      return this.#time;
    }
    if (this.ask({ kind: 'expire' }) === 1) this.#expire();
    return this.#time;
  }

  #expire(): void {
    this.#time += LONG;
    this.#looks = false;
  }

  /** Atomics.wait. */
  sleep(word: number, timeout: number): 'ok' | 'not-equal' | 'timed-out' {
    const said = this.ask({ kind: 'sleep', word, timed: timeout !== Number.POSITIVE_INFINITY });
    if (said === LATE) this.#expire();
    return said === WOKEN ? 'ok' : said === LATE ? 'timed-out' : 'not-equal';
  }

  /** Stands for the region, as far as the classes use it. */
  get region(): Region {
    this.#region ??= this.#makeRegion();
    return this.#region;
  }

  #makeRegion(): Region {
    const { ground, classes, publishes } = this.#scene;
    const { i32 } = ground;
    const parker = new classes.Parker(this.kernel, i32, REGION_BYTES, ground.get(REGION_THREADS), this.slot);
    const graph = publishes
      ? new classes.WaitGraph(this.kernel, i32.buffer, REGION_BYTES, ground.get(REGION_THREADS), this.slot)
      : { begin() {}, end() {}, deadlock: () => undefined };
    Object.assign(parker, { graph: this.#scene.ignoresDeadlocks ? this.#heeding(graph) : graph });
    const region = {
      ...{ kernel: this.kernel, i32, parker, slot: this.slot, buffer: Buffer.from(i32.buffer) },
      record: ground.record(this.slot),
      recordOf: (slot: number) => ground.record(slot),
      pieces: () => [],
      find: (_kind: number, offset: number, serial: number) => ({ region, offset, serial }),
      check: ({ offset, serial }: { offset: number; serial: number }) => {
        const at = offset + OBJECT_SERIAL;
        const isConstant = ground.roles[at >> 2] !== SHARED;
        if ((isConstant ? ground.get(at) : this.kernel.peek(at)) !== serial)
          throw new InvalidHandleError(`the object at offset ${offset} was freed`);
      },
    };
    return region as unknown as Region;
  }

  /** A graph whose deadlocks are noted, and otherwise ignored. */
  #heeding(graph: Pick<WaitGraph, 'begin' | 'end' | 'deadlock'>): typeof graph {
    return {
      begin: (...args) => graph.begin(...args),
      end: () => graph.end(),
      deadlock: (wake) => {
        if (graph.deadlock(wake) === undefined) return undefined;
        this.note('deadlock', 1);
        this.#deadlocks++;
        return undefined;
      },
    };
  }

  /** An object that the scenario has laid out, as this thread sees it. */
  at(offset: number, serial: number = this.#scene.ground.get(offset + OBJECT_SERIAL)): LivePlace {
    return new LivePlace({ region: this.region, offset, serial });
  }

  get classes(): Classes {
    return this.#scene.classes;
  }
}

/** Runs a search in a turn of the event loop of its own. */
export function inTurn<R>(search: () => R): Promise<R> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(search());
      } catch (error) {
        reject(error);
      }
    });
  });
}

setFlagsFromString('--allow-natives-syntax');
const checkpoint = new Function('%PerformMicrotaskCheckpoint()');

function runMicrotasks(): void {
  let ran = false;
  real.queueMicrotask(() => {
    ran = true;
  });
  checkpoint();
  if (!ran) throw new Error('V8 runs no microtasks here: see inTurn');
}

const real = {
  queueMicrotask,
  setTimeout,
  clearTimeout,
  waitAsync: Atomics.waitAsync,
  wait: Atomics.wait,
  notify: Atomics.notify,
  now: performance.now.bind(performance),
  date: Date.now,
};

Object.assign(globalThis, {
  queueMicrotask: (run: () => void) => real.queueMicrotask(playing ? playing.guarded(run) : run),
  setTimeout: (run: () => void, ...rest: [number]) => (playing ? playing.setTimer(run) : real.setTimeout(run, ...rest)),
  clearTimeout: (timer: NodeJS.Timeout) => (playing ? playing.clearTimer(timer) : real.clearTimeout(timer)),
});
Object.assign(Atomics, {
  waitAsync: (array: Int32Array, index: number, value: number, timeout: number) =>
    playing ? playing.listen(4 * index) : real.waitAsync(array, index, value, timeout),
  wait: (array: Int32Array, index: number, value: number, timeout: number) =>
    playing ? playing.sleep(4 * index, timeout) : real.wait(array, index, value, timeout),
  notify: (array: Int32Array, index: number, count?: number) =>
    playing ? playing.ask({ kind: 'notify', word: 4 * index }) : real.notify(array, index, count),
});
performance.now = () => (playing ? playing.now() : real.now());
Date.now = () => (playing ? 0 : real.date());
