/**
 * RwLock: many readers or one writer. The words and their protocol: ../kernel/rwlock.ts; the writers' gate: a mutex.
 */
import {
  DONE,
  FREED,
  KIND_RWLOCK,
  MUTEX_WORD,
  OBJECT_SERIAL,
  OWNER_DIED,
  REGION_THREADS,
  RW_DRAINING,
  RW_LINE,
  RW_LINES,
  RW_READERS,
  STAMP_SHIFT,
  WAKE,
} from '../kernel/layout.ts';
import { DeadlockError, InvalidHandleError, NotOwnerError, OwnerDiedError, TimeoutError } from '../memory/errors.ts';
import { LivePlace, placement, revives, SharedObject, type SharedObjectOptions } from '../memory/handles.ts';
import type { Place } from '../memory/region.ts';
import {
  AGAIN,
  type AsyncWaitOptions,
  type Operation,
  requireSignal,
  requireWaitOptions,
  spin,
  type WaitOptions,
} from '../memory/wait.ts';
import { InnerMutex } from './inner.ts';
import { type LockFace, runLocked, runLockedAsync } from './locked.ts';

/**
 * A lock that many threads may hold to read, or one to write. Readers do not disturb each other: each thread counts its reads
 * on a cache line of its own. A writer that waits keeps later readers out, and readers who waited behind a writer all go
 * before the next one, so that neither side starves.
 *
 * Reads belong to the **thread**, and may be nested: a thread that reads already reads again at once, even while a writer
 * waits. All async tasks of one thread count as one reader here; if their reads overlap without end, writers wait without
 * end. A read cannot become a write, nor a write a read: unlock first.
 *
 * @example
 * const prices = new RwLock({ name: 'prices' });
 * const seen = prices.read.with(() => stock[0]);
 * prices.write.with(() => { stock[0] = 5; });
 */
export class RwLock extends SharedObject {
  /** @internal */ readonly kind: number = KIND_RWLOCK;
  /**
   * For many threads at once. `lock` blocks while a writer is inside or waits, unless this thread reads already; it throws
   * DeadlockError when this thread writes, or a task of it waits to. `unlock` takes back one `lock` of this thread, and
   * throws NotOwnerError when there is none.
   */
  readonly read: LockFace;
  /**
   * For one thread, and one async task in it. `lock` blocks until nobody reads or writes; it throws DeadlockError when this
   * thread reads or writes already. `lockAsync` waits for other tasks of this thread, also for their reads. `unlock` throws
   * NotOwnerError when this thread does not write.
   */
  readonly write: LockFace;
  readonly #gate: InnerMutex;

  /** Makes a lock that nobody holds, of 64 bytes for each thread that the region may have. Throws RegionFullError. */
  constructor(options?: SharedObjectOptions);
  /** @internal */
  constructor(place: LivePlace);
  constructor(options: SharedObjectOptions | LivePlace = {}) {
    super(options instanceof LivePlace ? options : create(options));
    this.region.kernel.rwJoin(this.offset, this.region.slot);
    const gate = new InnerMutex(new LivePlace(this), `the write side of ${this.title}`);
    this.read = new ReadFace(this, gate);
    this.write = new WriteFace(this, gate);
    this.#gate = gate;
  }

  /**
   * After a thread died while it wrote, which `OwnerDiedError` tells readers and writers: locks to write, runs `repair`, and
   * unlocks; from then on everybody can lock again. Otherwise as that of a `Mutex`.
   */
  recover<R>(repair: () => R): R {
    for (;;) {
      if (this.#gate.tryRecover()) return this.#repair(repair, true);
      try {
        this.write.lock();
      } catch (error) {
        if (error instanceof OwnerDiedError) continue;
        throw error;
      }
      return this.#repair(repair, false);
    }
  }

  #repair<R>(repair: () => R, wasDead: boolean): R {
    let repaired = false;
    try {
      const result = repair();
      repaired = true;
      return result;
    } finally {
      if (wasDead && !repaired) {
        this.#gate.forsake();
        this.region.parker.wakeAll(this.offset + RW_READERS);
      } else this.write.unlock();
    }
  }
}

abstract class Face implements LockFace {
  readonly object: RwLock;
  readonly gate: InnerMutex;

  constructor(object: RwLock, gate: InnerMutex) {
    this.object = object;
    this.gate = gate;
  }

  abstract lock(options?: WaitOptions): this;
  abstract tryLock(): boolean;
  abstract lockAsync(options?: AsyncWaitOptions): Promise<this>;
  abstract unlock(): void;
  abstract get held(): boolean;

  with<R>(fn: () => R, options?: WaitOptions): R {
    return runLocked(this, fn, options);
  }

  withAsync<R>(fn: () => R | Promise<R>, options?: AsyncWaitOptions): Promise<R> {
    return runLockedAsync(this, fn, options);
  }

  [Symbol.dispose](): void {
    this.object.region.check(this.object);
    if (this.held) this.unlock();
  }

  /** Wakes the writer that waits for readers. */
  wakeWriter(): void {
    this.object.region.parker.wake(this.object.offset + RW_DRAINING);
  }

  deadlock(why: string): DeadlockError {
    return new DeadlockError(`${this.object.title} ${why} (slot ${this.object.region.slot})`);
  }

  notOwner(side: string, why: string): NotOwnerError {
    const { region, title } = this.object;
    return new NotOwnerError(`the thread in slot ${region.slot} cannot unlock the ${side} side of ${title}: ${why}`);
  }

  freed(): InvalidHandleError {
    return new InvalidHandleError(`the rwlock at offset ${this.object.offset} was freed`);
  }
}

class ReadFace extends Face {
  lock(options?: WaitOptions): this {
    if (options !== undefined) requireWaitOptions(options);
    return this.#attempt() === AGAIN ? this.#lockContended(options) : this;
  }

  #lockContended(options?: WaitOptions): this {
    const { region } = this.object;
    if (this.gate.owner === region.slot) throw this.deadlock('is held or awaited by this thread for writing');
    const result = spin(() => this.#attempt());
    return result === AGAIN ? region.parker.block(this.#operation(), requireWaitOptions(options)) : result;
  }

  tryLock(): boolean {
    return this.#attempt() !== AGAIN;
  }

  lockAsync(options?: AsyncWaitOptions): Promise<this> {
    return this.object.region.parker.wait(this.#operation(), options);
  }

  unlock(): void {
    const { region, offset, serial } = this.object;
    const said = region.kernel.readUnlock(offset, serial, region.slot);
    if (said === DONE) return;
    if (said === FREED) throw this.freed();
    if (said !== WAKE) throw this.notOwner('read', 'it holds none');
    this.wakeWriter();
  }

  get held(): boolean {
    const { region, offset } = this.object;
    return region.kernel.readHeld(offset, region.slot) > 0;
  }

  #attempt(): this | typeof AGAIN {
    const { region, offset, serial } = this.object;
    const said = region.kernel.readLock(offset, serial, region.slot);
    if (said === DONE) return this;
    if (said === FREED) throw this.freed();
    if (said === OWNER_DIED) throw this.gate.died();
    if (said === WAKE) this.wakeWriter();
    return AGAIN;
  }

  #operation(): Operation<this> {
    const { region, offset, title } = this.object;
    return {
      what: `lock of the read side of ${title}`,
      object: this.object,
      set: offset + RW_READERS,
      attempt: () => this.#attempt(),
      passOn: () => {
        if (region.kernel.readDecline(offset, region.slot)) this.wakeWriter();
        return false; // all readers that could go on were woken
      },
    };
  }
}

class WriteFace extends Face {
  lock(options?: WaitOptions): this {
    const timeout = requireWaitOptions(options);
    const deadline = timeout === Number.POSITIVE_INFINITY ? timeout : performance.now() + timeout;
    if (this.#reads) throw this.deadlock('is held by this thread for reading');
    this.gate.lock(options);
    if (this.#bar() !== AGAIN) return this;
    const result = spin(() => this.#enter());
    return result === AGAIN ? this.object.region.parker.block(this.#operation(), timeout, deadline) : result;
  }

  tryLock(): boolean {
    const { region, offset } = this.object;
    if (!this.gate.tryLock()) return false;
    if (region.kernel.drained(offset) && this.#bar() !== AGAIN) return true;
    this.#leave();
    return false;
  }

  async lockAsync(options?: AsyncWaitOptions): Promise<this> {
    const timeout = requireWaitOptions(options);
    requireSignal(options?.signal);
    const deadline = performance.now() + timeout;
    await this.gate.lockAsync(options);
    if (this.#bar() !== AGAIN) return this;
    const operation = this.#operation();
    try {
      const left = { ...options, timeout: Math.max(0, Math.ceil(deadline - performance.now())) };
      return await this.object.region.parker.wait(operation, left);
    } catch (error) {
      throw error instanceof TimeoutError ? new TimeoutError(operation.what, timeout) : error;
    }
  }

  unlock(): void {
    if (this.held) {
      this.#leave();
      return;
    }
    if (this.gate.owner !== this.object.region.slot) this.gate.unlock(); // which throws, and says why
    throw this.notOwner('write', 'it waits for it');
  }

  get held(): boolean {
    const { region, offset } = this.object;
    return this.gate.owner === region.slot && region.kernel.writing(offset) !== 0;
  }

  get #reads(): boolean {
    const { region, offset } = this.object;
    return region.kernel.readHeld(offset, region.slot) > 0;
  }

  /** The gate is had: keeps later readers out, and enters if nobody reads. */
  #bar(): this | typeof AGAIN {
    const { region, offset } = this.object;
    region.check(this.object); // it may have been freed since a promise got the gate
    region.kernel.writeBar(offset);
    return this.#enter();
  }

  #enter(): this | typeof AGAIN {
    const said = this.object.region.kernel.writeEnter(this.object.offset, this.object.serial);
    if (said === FREED) throw this.freed();
    return said === DONE ? this : AGAIN;
  }

  /** Admits the readers that wait, then unlocks the gate: the other way round the next writer would overtake them. */
  #leave(): void {
    const { region, offset } = this.object;
    region.kernel.writeOpen(offset);
    for (let slot = region.kernel.readAdmit(offset); slot >= 0; slot = region.kernel.readAdmit(offset)) {
      region.parker.unpark(slot);
    }
    this.gate.unlock();
  }

  #operation(): Operation<this> {
    const { region, offset, serial, title } = this.object;
    return {
      what: `lock of the write side of ${title}`,
      object: this.object,
      set: offset + RW_DRAINING,
      attempt: () => this.#enter(),
      abandon: () => {
        if (region.i32[(offset + OBJECT_SERIAL) >> 2] === serial) this.#leave();
      },
      // the gate lets one wait here, but who gave up has left the gate before this set: its wake may be the next one's
      passOn: () => region.kernel.waiting(offset + RW_DRAINING) !== 0,
    };
  }
}

function create(options: SharedObjectOptions): Place {
  const { region, name } = placement(options);
  const threads = region.i32[REGION_THREADS >> 2] ?? 0;
  return region.create(KIND_RWLOCK, RW_LINES + threads * RW_LINE, name, (offset, serial) => {
    region.i32[(offset + MUTEX_WORD) >> 2] = serial << STAMP_SHIFT;
  });
}

revives(KIND_RWLOCK, (place) => new RwLock(place));
