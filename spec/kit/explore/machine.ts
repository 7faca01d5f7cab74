/**
 * Machine: runs the virtual threads of a scenario one step at a time, and goes back to earlier states.
 *
 * A step is one access of a word that others may touch, with all that follows in the thread up to its next such access; or
 * one sleep, one notify, one look at the clock, one plain touch. So a state is the memory and, of each thread, what it saw.
 */
import { PARKED, THREAD_PARK } from '../../../lib/kernel/layout.ts';
import type { Clocks } from './clocks.ts';
import { CONSTANT, Ground, PRIVATE, SHARED, THREADS, UNWATCHED } from './ground.ts';
import { Hash } from './hash.ts';
import type { Instrumented } from './instrument.ts';
import { accessOf, isRace, raceOf } from './races.ts';
import { EXPIRE, KILL, STEP } from './schedule.ts';
import {
  type Access,
  ASLEEP,
  CHANGED,
  DEAD,
  ENDED,
  FULFILLED,
  LATE,
  NONE,
  newSaved,
  PENDING,
  type Program,
  READY,
  type Saved,
  save,
  VirtualThread,
  WOKEN,
} from './thread.ts';

/** What the threads of a scenario do, and what must hold. None of it may hold state of its own: see `note`. */
export interface Cast {
  readonly programs: readonly (() => Program)[];
  /** What a supervisor runs after a kill, as one more thread in a slot of its own: for one death after the other, */
  readonly repair?: (dead: VirtualThread, supervisor: VirtualThread) => Program;
  /** in the first of these slots that is free. Whose supervisor died is repaired by the next. */
  readonly supervisors?: readonly number[];
  /** Who may die: the slots of the programs, if not these. */
  readonly mortals?: readonly number[];
  /** Looked at whenever the memory has changed; throws Failure. */
  readonly invariant?: () => void;
  /** Looked at when no thread can go on; throws Failure. */
  readonly final?: () => void;
  /** Whether a thread may sleep for ever. */
  readonly maySleep?: (thread: VirtualThread) => boolean;
}

export interface Scenario {
  readonly name: string;
  /** Lays out the memory. */
  readonly setup: (machine: Machine) => Cast;
  readonly kills?: number;
  /** A thread dies in a call of the kernel where V8 looks whether it is to end, and not before each access. */
  readonly diesAtGuards?: boolean;
  readonly timeouts?: number;
}

/** A state to come back to. */
export interface Checkpoint {
  readonly memory: Int32Array;
  readonly contents: Hash;
  readonly threads: readonly Saved[];
  steps: number;
  kills: number;
  timeouts: number;
  died: readonly VirtualThread[];
  repairs: number;
}

const LONG_CALL = 150; // steps of one call of the kernel, after which it counts as spinning
const LONG_RUN = 2000; // steps of a run
export const REPAIRER: number = THREADS - 2; // slot of the thread that repairs
const SOLOIST = THREADS - 1; // slot of the one that looks at outcomes

export class Failure extends Error {}

export class Machine {
  readonly ground: Ground = new Ground();
  /** Names of all that the kernel exports. */
  readonly operations: readonly string[];
  readonly threads: VirtualThread[] = [];
  readonly contents: Hash = new Hash();
  /** Choices so far. */
  readonly schedule: number[] = [];
  /** Races on fields that allow them, by their names. */
  readonly benign: Set<string> = new Set();
  kills = 0;
  timeouts = 0;
  /** The threads that died in this run, one after another. */
  died: readonly VirtualThread[] = [];
  /** For how many of them a repair has begun. */
  repairs = 0;
  /** What happened, if somebody wants to read it. */
  trace: string[] | undefined;
  /** Looks for races between accesses that are no neighbours; only for runs that never go back. */
  clocks: Clocks | undefined;
  readonly #scenario: Scenario;
  readonly #cast: Cast;
  readonly #mortals: readonly number[];
  readonly #supervisors: readonly VirtualThread[];
  readonly #start: Int32Array;
  readonly #old = new Int32Array(128);
  readonly #key = new Hash();
  #isFree = false; // accesses are no steps
  #changed = false;

  constructor(instrumented: Instrumented, scenario: Scenario, mutant = 0) {
    this.#scenario = scenario;
    this.operations = instrumented.operations;
    const isStep = (thread: VirtualThread): boolean => !this.#isFree && this.#isShared(thread);
    for (let slot = 0; slot < THREADS; slot++) {
      this.threads.push(new VirtualThread(this.ground, instrumented, slot, isStep, mutant));
    }
    this.#cast = scenario.setup(this);
    const { programs, mortals = programs.map((_, slot) => slot), supervisors = [REPAIRER] } = this.#cast;
    this.#mortals = mortals;
    this.#supervisors = supervisors.map((slot) => this.threads[slot] as VirtualThread);
    this.#start = this.ground.save();
  }

  /** The thread that died first. */
  get dead(): VirtualThread | undefined {
    return this.died[0];
  }

  /** Calls the kernel while no thread runs: all its accesses at once. */
  solo: VirtualThread['solo'] = (name, ...args) => {
    this.#isFree = true;
    try {
      return (this.threads[SOLOIST] as VirtualThread).solo(name, ...args);
    } finally {
      this.#isFree = false;
    }
  };

  /** Back to the start. */
  reset(): void {
    this.ground.restore(this.#start);
    this.contents.reset();
    this.schedule.length = 0;
    this.clocks?.reset();
    this.#changed = true;
    this.died = [];
    this.repairs = 0;
    this.kills = this.#scenario.kills ?? 0;
    this.timeouts = this.#scenario.timeouts ?? 0;
    for (const thread of this.threads) thread.rest();
    this.#cast.programs.forEach((write, slot) => {
      this.#begin(this.threads[slot] as VirtualThread, write);
    });
  }

  #begin(thread: VirtualThread, write: () => Program): void {
    thread.start(write);
    this.#checkRaces(thread);
  }

  /** What can happen next: choices of schedule.ts. When nothing can, the outcome has been checked. Throws Failure. */
  options(): number[] {
    if (this.#changed) this.#cast.invariant?.();
    this.#changed = false;
    if (this.schedule.length > LONG_RUN) throw new Failure('the run does not end');
    const options: number[] = [];
    for (const { slot, state, request } of this.threads) {
      if (state !== READY) continue;
      options.push(STEP + slot);
      if (request?.kind === 'expire' && this.timeouts > 0) options.push(EXPIRE + slot);
    }
    const isStuck = options.length === 0;
    for (const { slot, state, request } of this.threads) {
      const isTimed = state === ASLEEP && request !== undefined && 'timed' in request && request.timed;
      if (isTimed && (this.timeouts > 0 || isStuck)) options.push(EXPIRE + slot);
    }
    if (options.length === 0) this.#end();
    else if (this.kills > 0) this.#addKills(options);
    return options;
  }

  #addKills(options: number[]): void {
    for (const { slot, state, access, isGuarded } of this.threads) {
      if (!this.#mortals.includes(slot)) continue;
      const isBetween = access.act !== 'none' && !isGuarded && this.#scenario.diesAtGuards;
      if (state === ASLEEP || (state === READY && !isBetween)) options.push(KILL + slot);
    }
  }

  /** Nobody can go on. */
  #end(): void {
    const asleep = this.threads.filter((thread) => thread.state === ASLEEP && !this.#cast.maySleep?.(thread));
    if (asleep.length > 0) throw new Failure(`deadlock: ${asleep.map(({ slot }) => slot).join(', ')} sleeps for ever`);
    const before = this.ground.save();
    this.#cast.final?.();
    this.ground.restore(before);
  }

  /** Makes one choice. Throws Failure. */
  perform(choice: number): void {
    this.schedule.push(choice);
    const thread = this.threads[choice % THREADS] as VirtualThread;
    const kind = choice - thread.slot;
    if (kind === KILL) this.#kill(thread);
    else if (kind === EXPIRE) {
      this.timeouts--;
      this.#tell(thread, 'the time is up');
      thread.answer(thread.state === ASLEEP ? LATE : 1);
    } else if (thread.access.act !== 'none') this.#makeAccess(thread);
    else this.#makeStep(thread);
    this.#checkRaces(thread);
    if (this.repairs < this.died.length) this.#callSupervisors();
  }

  #kill(thread: VirtualThread): void {
    this.#tell(thread, 'is killed');
    this.kills--;
    this.died = [...this.died, thread];
    thread.state = DEAD;
    thread.forget();
  }

  /** Those that are free begin to repair what died. */
  #callSupervisors(): void {
    const { repair } = this.#cast;
    for (const supervisor of this.#supervisors) {
      const dead = this.died[this.repairs];
      if (!repair || !dead || supervisor.state !== ENDED) continue;
      this.repairs++;
      this.clocks?.follow(supervisor, dead);
      this.#begin(supervisor, () => repair(dead, supervisor));
    }
  }

  /** Whether this access is a step; throws when the thread has no right to it. */
  #isShared({ slot, access: { act, address } }: VirtualThread): boolean {
    const role = this.ground.roles[address >> 2] as number;
    if (role === SHARED) return true;
    if (role === UNWATCHED) return false;
    if (role === CONSTANT && act !== 'load') throw new Failure(`thread ${slot} writes what is constant, at ${address}`);
    if (role >= PRIVATE && role !== PRIVATE + slot) {
      throw new Failure(`thread ${slot} touches ${address}, which is thread ${role - PRIVATE}'s`);
    }
    return false;
  }

  #makeAccess(thread: VirtualThread): void {
    const { act, atomic, address, size } = thread.access;
    this.#tell(thread, `${atomic ? 'atomic' : 'plain'} ${act} of`, address);
    if (++thread.steps > LONG_CALL) throw new Failure(`thread ${thread.slot} spins in ${callOf(thread)}`);
    const made = this.clocks ? { ...thread.access } : undefined;
    const wrote = act !== 'load' && this.#writing(address, size, () => thread.resume());
    if (act === 'load') thread.resume();
    if (made) this.#enter(thread, made, act === 'cmpxchg' ? wrote : act !== 'load');
  }

  #enter(thread: VirtualThread, access: Access, wrote: boolean): void {
    const other = this.clocks?.enter(thread, access, wrote) ?? -1;
    if (other < 0) return;
    const field = this.ground.fieldAt(access.address);
    if (!field?.benign)
      throw new Failure(`data race on ${field?.name ?? access.address}: threads ${thread.slot}, ${other}`);
    this.benign.add(field.name);
  }

  /** Does what writes there, and keeps the hash of the contents; says whether they have changed. */
  #writing(address: number, size: number, write: () => void): boolean {
    const { i32 } = this.ground;
    const at = address >> 2;
    const words = size >> 2;
    for (let i = 0; i < words; i++) this.#old[i] = i32[at + i] as number;
    write();
    let changed = false;
    for (let i = 0; i < words; i++) {
      const [then, now] = [this.#old[i] as number, i32[at + i] as number];
      if (then === now) continue;
      changed = true;
      this.contents.toggle(at + i, then);
      this.contents.toggle(at + i, now);
    }
    this.#changed ||= changed;
    return changed;
  }

  /** A step outside of the kernel. */
  #makeStep(thread: VirtualThread): void {
    const { request } = thread;
    if (request?.kind === 'sleep') {
      this.#tell(thread, 'sleeps on', request.word);
      if (this.ground.get(request.word) === PARKED) thread.state = ASLEEP;
      else thread.answer(CHANGED);
    } else if (request?.kind === 'listen') {
      this.#tell(thread, 'listens to', request.word);
      const isParked = this.ground.get(request.word) === PARKED;
      if (isParked) thread.listening = PENDING;
      thread.answer(Number(isParked));
    } else if (request?.kind === 'hear') {
      this.#tell(thread, 'is idle');
      if (thread.listening === FULFILLED) this.#hear(thread);
      else thread.state = ASLEEP;
    } else if (request?.kind === 'notify') {
      this.#tell(thread, 'notifies', request.word);
      this.clocks?.meet(thread, request.word);
      thread.answer(0);
      this.#notify(request.word);
    } else if (request?.kind === 'touch') this.#touch(thread, request.address, request.value);
    else thread.answer(0);
  }

  #hear(thread: VirtualThread): void {
    thread.listening = NONE;
    this.clocks?.meet(thread, thread.record + THREAD_PARK);
    thread.answer(WOKEN);
  }

  #notify(word: number): void {
    for (const thread of this.threads) {
      const { state, request, record } = thread;
      if (thread.listening === PENDING && record + THREAD_PARK === word) thread.listening = FULFILLED;
      if (state !== ASLEEP) continue;
      if (request?.kind === 'sleep' && request.word === word) {
        this.clocks?.meet(thread, word);
        thread.answer(WOKEN);
      } else if (request?.kind === 'hear' && thread.listening === FULFILLED) this.#hear(thread);
      else continue;
      this.#checkRaces(thread);
    }
  }

  #touch(thread: VirtualThread, address: number, value: number | undefined): void {
    this.#tell(thread, value === undefined ? 'reads' : `writes ${value} over`, address);
    const seen = this.ground.get(address);
    if (this.clocks) this.#enter(thread, accessOf(thread) as Access, value !== undefined);
    if (value !== undefined) this.#writing(address, 4, () => this.ground.set(address, value));
    thread.answer(seen);
  }

  #tell(thread: VirtualThread, what: string, address?: number): void {
    if (!this.trace) return;
    const field = address === undefined ? undefined : this.ground.fieldAt(address);
    const where = address === undefined ? '' : ` ${field?.name ?? address}: ${this.ground.get(address)}`;
    this.trace.push(`${thread.slot} ${callOf(thread)}: ${what}${where}`);
  }

  /** The next access of this thread against those of all others. */
  #checkRaces(thread: VirtualThread): void {
    const mine = accessOf(thread);
    if (!mine) return;
    for (const other of this.threads) {
      const its = other === thread ? undefined : accessOf(other);
      if (!its || !isRace(mine, its)) continue;
      const field = this.ground.fieldAt(Math.max(mine.address, its.address));
      if (!field?.benign) throw new Failure(raceOf(thread, mine, other, its, field?.name));
      this.benign.add(field.name);
    }
  }

  /** Lets a thread that has come back to a state go on alone. Throws Failure when it never leaves its call. */
  spin(choice: number): void {
    const thread = this.threads[choice] as VirtualThread;
    const { notes, answers } = thread;
    for (let steps = 0; thread.state === READY && thread.access.act !== 'none'; steps++) {
      if (thread.answers !== answers || thread.notes !== notes) return;
      if (steps > LONG_CALL) throw new Failure(`thread ${thread.slot} spins in ${callOf(thread)}`);
      this.perform(choice);
    }
  }

  checkpoint(into?: Checkpoint): Checkpoint {
    const saved = into ?? {
      memory: this.ground.save(),
      contents: new Hash(),
      threads: this.threads.slice(0, SOLOIST).map(newSaved),
      ...{ steps: 0, kills: 0, timeouts: 0, died: [], repairs: 0 },
    };
    if (into) this.ground.save(into.memory);
    saved.contents.copy(this.contents);
    saved.threads.forEach((thread, slot) => {
      save(this.threads[slot] as VirtualThread, thread);
    });
    saved.steps = this.schedule.length;
    saved.kills = this.kills;
    saved.timeouts = this.timeouts;
    saved.died = this.died;
    saved.repairs = this.repairs;
    return saved;
  }

  restore(saved: Checkpoint): void {
    this.ground.restore(saved.memory);
    this.contents.copy(saved.contents);
    saved.threads.forEach((thread, slot) => {
      (this.threads[slot] as VirtualThread).restore(thread);
    });
    this.schedule.length = saved.steps;
    this.kills = saved.kills;
    this.timeouts = saved.timeouts;
    this.died = saved.died;
    this.repairs = saved.repairs;
    this.#changed = false;
  }

  /** A number for the state, and for what else decides how the search goes on. */
  key(beside: number): number {
    const hash = this.#key;
    hash.copy(this.contents);
    hash.add(this.timeouts);
    hash.add(beside);
    if (this.died.length > 1 && this.#supervisors.some(({ state }) => state !== ENDED)) {
      for (const { slot } of this.died) hash.add(slot); // in the order of their repair
    }
    for (const { state, seen, listening } of this.threads) {
      hash.add(state + 8 * listening);
      hash.add(seen.low);
      hash.add(seen.high);
    }
    return hash.key;
  }
}

function callOf({ request }: VirtualThread): string {
  return request?.kind === 'call' ? request.name : '-';
}
