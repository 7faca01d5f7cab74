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
 * Two histories that leave the same behind are one state. Of an act that is over only its notes are left. And who has slept
 * is, when it registers again, as it was when it did so first, but for the clock and the slot that it woke last.
 */
import './one-core.ts';
import { OBJECT_KIND, OBJECT_SERIAL, REGION_BYTES, REGION_THREADS } from '../../../lib/kernel/layout.ts';
import { InvalidHandleError } from '../../../lib/memory/errors.ts';
import { LivePlace } from '../../../lib/memory/handles.ts';
import type { Kernel } from '../../../lib/memory/kernel.ts';
import type { Region } from '../../../lib/memory/region.ts';
import { bury, type Ward } from '../../../lib/memory/supervisor.ts';
import { Parker, TRIES } from '../../../lib/memory/wait.ts';
import { WaitGraph } from '../../../lib/memory/waitgraph.ts';
import { Barrier } from '../../../lib/sync/barrier.ts';
import { Condition } from '../../../lib/sync/condition.ts';
import { Event } from '../../../lib/sync/event.ts';
import { Latch } from '../../../lib/sync/latch.ts';
import { Mutex } from '../../../lib/sync/mutex.ts';
import { RLock } from '../../../lib/sync/rlock.ts';
import { RwLock } from '../../../lib/sync/rwlock.ts';
import { Semaphore } from '../../../lib/sync/semaphore.ts';
import type { Ground } from './ground.ts';
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
  readonly Condition: typeof Condition;
  readonly Event: typeof Event;
  readonly Latch: typeof Latch;
  readonly Mutex: typeof Mutex;
  readonly RLock: typeof RLock;
  readonly RwLock: typeof RwLock;
  readonly Semaphore: typeof Semaphore;
}

const synchronization = { Barrier, Condition, Event, Latch, Mutex, RLock, RwLock, Semaphore };
const shippedClasses: Classes = { Parker, WaitGraph, bury, ...synchronization };

type Noted = Readonly<Record<string, (answer: number) => number>>;

interface SceneOptions {
  /** How many threads the region has room for. */
  readonly threads: number;
  /** Threads publish what they wait for, and look for deadlocks. */
  readonly publishes?: boolean;
  /** What is noted of answers of the kernel, under the name of the call; a 0 is not. */
  readonly noted?: Noted;
  readonly protocol?: Protocol | undefined;
}

/** What the threads of a scenario have in common. */
export class Scene {
  readonly ground: Ground;
  readonly operations: readonly string[];
  readonly classes: Classes;
  readonly publishes: boolean;
  readonly noted: Noted;
  readonly dropped: Readonly<Record<string, number>>;
  readonly objects: { readonly offset: number; readonly kind: number }[] = [];

  constructor({ ground, operations }: Machine, { threads, publishes = false, noted = {}, protocol }: SceneOptions) {
    this.ground = ground;
    this.operations = operations;
    this.classes = { ...shippedClasses, ...protocol?.classes };
    this.publishes = publishes;
    this.noted = noted;
    this.dropped = protocol?.dropped ?? {};
    ground.slots(threads, REPAIRER);
    if (!publishes) ground.withoutWaits(REPAIRER);
  }

  /** Lays out an object; each has a serial of its own. */
  object(kind: number, bytes: number): number {
    const at = this.ground.take(bytes);
    this.ground.set(at + OBJECT_KIND, kind);
    this.ground.set(at + OBJECT_SERIAL, 5 + this.objects.length);
    this.ground.constant(at, 8);
    this.objects.push({ offset: at, kind });
    return at;
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

  /** The supervisor buries a thread. */
  readonly burial = ({ slot }: { readonly slot: number }): Script =>
    this.play(REPAIRER, ({ region }) => {
      this.classes.bury({ ...region, objects: () => this.objects } as unknown as Ward, slot, slot + 1);
    });
}

/** Part of what a thread does. The next one begins with nothing but what was noted. */
export type Act = (stage: Stage) => void;

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
  #asked: Request | undefined;
  #time = 0;
  #looks = false; // the clock may say that it is late,
  #hasDeadline = false; // once a deadline was made
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
    this.#act = act;
    this.#asked = undefined;
    this.#time = 0;
    this.#looks = false;
    this.#region = undefined;
    playing = this;
    try {
      this.#acts[act]?.(this);
    } catch (error) {
      if (!this.#asked) throw new Failure(`thread ${this.slot}: ${error}`);
    } finally {
      playing = undefined;
    }
    return this.#asked;
  }

  /** The answer, if it was given; else nothing goes on here until it is. */
  ask(request: Request): number {
    if (this.#asked) throw SUSPENDED;
    if (this.#told < this.#answers.length) return this.#answers[this.#told++] as number;
    this.#asked = request;
    throw SUSPENDED;
  }

  #call(name: keyof Kernel, args: readonly number[]): number {
    const { dropped, noted } = this.#scene;
    const instead = dropped[name];
    if (instead !== undefined) return instead;
    const call = { kind: 'call', name, args: args.map(Number) } as const;
    if (name === 'register' && this.#waitsIn !== args[0]) {
      this.#waitsIn = args[0] ?? 0;
      this.#before = this.#told;
    } else if (name === 'unregister' && args[0] === this.#waitsIn) this.#waitsIn = 0;
    const answer = this.ask(name === 'parkEnd' ? { ...call, becomes: this.#lasting() } : call);
    if (name === 'takeWaiter') this.#woken = answer + 1;
    const value = noted[name]?.(answer) ?? 0;
    if (value !== 0) this.note(name, value);
    return answer;
  }

  /** What is left of what it knows when it has slept. */
  #lasting(): number[] {
    return [this.#act, this.#time, this.#woken, ...this.#answers.slice(this.#from, this.#before)];
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
    Object.assign(parker, { graph });
    const region = {
      ...{ kernel: this.kernel, i32, parker, slot: this.slot, buffer: Buffer.from(i32.buffer) },
      recordOf: (slot: number) => ground.record(slot),
      pieces: () => [],
      find: (_kind: number, offset: number, serial: number) => ({ region, offset, serial }),
      check: ({ offset, serial }: { offset: number; serial: number }) => {
        if (i32[(offset + OBJECT_SERIAL) >> 2] !== serial)
          throw new InvalidHandleError(`the object at offset ${offset} was freed`);
      },
    };
    return region as unknown as Region;
  }

  /** An object that the scenario has laid out, as this thread sees it. */
  at(offset: number): LivePlace {
    return new LivePlace({ region: this.region, offset, serial: this.#scene.ground.get(offset + OBJECT_SERIAL) });
  }

  get classes(): Classes {
    return this.#scene.classes;
  }
}

const real = { wait: Atomics.wait, notify: Atomics.notify, now: performance.now.bind(performance), date: Date.now };

Object.assign(Atomics, {
  wait: (array: Int32Array, index: number, value: number, timeout: number) =>
    playing ? playing.sleep(4 * index, timeout) : real.wait(array, index, value, timeout),
  notify: (array: Int32Array, index: number, count?: number) =>
    playing ? playing.ask({ kind: 'notify', word: 4 * index }) : real.notify(array, index, count),
});
performance.now = () => (playing ? playing.now() : real.now());
Date.now = () => (playing ? 0 : real.date());
