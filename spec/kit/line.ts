import { BUSY, DONE, SEMAPHORE_WAITERS, WAKE } from '../../lib/kernel/layout.ts';
import type { Semaphore } from '../../lib/sync/semaphore.ts';

/**
 * Threads that are none: each walks through the kernel operations of a semaphore one by one, as `Parker` does for a real
 * thread, so that a spec decides who goes next.
 */
export class Walker {
  readonly #semaphore: Semaphore;
  readonly #wake: (slot: number) => void;
  readonly slot: number;
  /** The next step; asleep when there is none until somebody wakes it. */
  step: (() => void) | undefined;
  pending = false; // a wake that came before the sleep
  holds = 0;
  wants: number[];
  #need = 0;

  constructor(semaphore: Semaphore, slot: number, wants: number[], wake: (slot: number) => void) {
    this.#semaphore = semaphore;
    this.slot = slot;
    this.wants = wants;
    this.#wake = wake;
    this.step = this.#next;
  }

  get done(): boolean {
    return this.wants.length === 0 && this.step === undefined && this.holds === 0;
  }

  wake(): void {
    if (this.step === undefined) this.step = this.#register;
    else this.pending = true;
  }

  /** A sleeper gives up. */
  expire(): void {
    this.step = this.#unregister;
  }

  /** A sleeper's thread blocks for something else: its promise cannot go on until it comes back. */
  withdraw(): void {
    const woken = !this.#kernel.unregister(this.#set, this.slot);
    this.step = woken ? () => this.#settle(this.slot, this.#register) : this.#register;
  }

  get #kernel() {
    return this.#semaphore.region.kernel;
  }

  get #set(): number {
    return this.#semaphore.offset + SEMAPHORE_WAITERS;
  }

  #next = (): void => {
    this.#need = this.wants.shift() ?? 0;
    if (this.#need === 0) {
      this.step = undefined;
      return;
    }
    const { offset, serial } = this.#semaphore;
    if (this.#kernel.semaphoreAcquire(offset, serial, this.slot, this.#need) === DONE) this.#take();
    else this.step = this.#register;
  };

  #register = (): void => {
    this.#kernel.register(this.#set, this.slot);
    this.step = this.#attempt;
  };

  #attempt = (): void => {
    const { offset, serial } = this.#semaphore;
    const said = this.#kernel.semaphoreAttempt(offset, serial, this.slot, this.#need);
    if (said === BUSY) {
      this.step = this.pending ? this.#register : undefined;
      this.pending = false;
      return;
    }
    this.holds = this.#need;
    this.step = said === WAKE ? () => this.#settle(-1, this.#unregister) : this.#unregister;
  };

  #unregister = (): void => {
    this.#kernel.unregister(this.#set, this.slot);
    this.step = () => this.#settle(this.slot, this.holds > 0 ? this.#release : this.#next);
  };

  #take(): void {
    this.holds = this.#need;
    this.step = this.#release;
  }

  #release = (): void => {
    const { offset, serial } = this.#semaphore;
    const said = this.#kernel.semaphoreRelease(offset, serial, this.slot, this.holds);
    this.holds = 0;
    this.step = said === WAKE ? () => this.#settle(-1, this.#next) : this.#next;
  };

  #settle(left: number, then: () => void): void {
    const { offset, serial } = this.#semaphore;
    const next = this.#kernel.semaphoreSettle(offset, serial, this.slot + 1, left);
    this.step = then;
    if (next >= 0) this.#wake(next);
  }
}
