/** The async half of `Parker`, and the event loop of a thread around it. */
import { THREAD_PARK } from '../../../lib/kernel/layout.ts';
import type { Ground } from './ground.ts';
import { AGAIN, call, type Operation, Parker, type Part, type Protocol, type TIMED_OUT } from './programs.ts';
import { LATE } from './thread.ts';

interface Waiter {
  readonly operation: Operation<unknown>;
  /** What the program does when the promise is fulfilled. */
  readonly then: ((result: never) => Part<void>) | undefined;
  readonly timed: boolean;
}

export class EventLoop {
  readonly #parker: Parker;
  readonly #slot: number;
  readonly #record: number;
  readonly #protocol: Protocol;
  readonly #waiters = new Map<number, Waiter[]>();
  readonly #tasks: (() => Part<void>)[] = [];
  #armed = false;
  #withdrawn = false;

  constructor(ground: Ground, slot: number, protocol: Protocol = {}) {
    this.#parker = new Parker(ground, slot, protocol);
    this.#slot = slot;
    this.#record = ground.record(slot);
    this.#protocol = protocol;
  }

  /** `Parker.wait`. */
  *wait<R>(operation: Operation<R>, then?: (result: R) => Part<void>, timed = false): Part<void> {
    if (!this.#waiters.has(operation.set)) {
      const result = yield* operation.attempt();
      if (result !== AGAIN) {
        if (then) this.#tasks.push(() => then(result));
        return;
      }
    }
    const waiters = this.#waiters.get(operation.set) ?? [];
    this.#waiters.set(operation.set, waiters);
    waiters.push({ operation, then, timed });
    yield* this.#serve(operation.set);
    yield* this.#arm();
  }

  /** `Parker.block`, while promises are pending. */
  *block<R>(operation: Operation<R>): Part<R | typeof TIMED_OUT> {
    yield* this.#withdraw();
    const result = yield* this.#parker.block(operation);
    if (this.#withdrawn) this.#tasks.push(() => this.#rejoin());
    return result;
  }

  /** Turns until no promise is pending. */
  *run(): Part<void> {
    for (;;) {
      const task = this.#tasks.shift();
      if (task) yield* task();
      else if (this.#waiters.size === 0) return;
      else yield* this.#idle();
    }
  }

  *#idle(): Part<void> {
    const late = [...this.#waiters.values()].flat().find(({ timed }) => timed);
    if ((yield { kind: 'hear', timed: late !== undefined }) === LATE) {
      if (late) yield* this.#giveUp(late);
      return;
    }
    this.#armed = false;
    yield* this.#awake();
  }

  *#serve(set: number): Part<void> {
    if (!this.#withdrawn) yield* call('register', set, this.#slot);
    const waiters = this.#waiters.get(set) ?? [];
    const last = waiters.at(-1);
    while (waiters[0]) {
      const { operation, then } = waiters[0];
      const result = yield* operation.attempt();
      if (result === AGAIN) return;
      if (then) this.#tasks.push(() => then(result as never));
      waiters.shift();
    }
    this.#waiters.delete(set);
    if (last) yield* this.#parker.leave(last.operation);
  }

  *#giveUp(waiter: Waiter): Part<void> {
    const { set, abandon } = waiter.operation;
    const waiters = this.#waiters.get(set) ?? [];
    waiters.splice(waiters.indexOf(waiter), 1);
    if (abandon) yield* abandon();
    if (waiters.length > 0) {
      yield* this.#serve(set);
      return;
    }
    this.#waiters.delete(set);
    yield* this.#parker.leave(waiter.operation);
  }

  *#arm(): Part<void> {
    if (this.#waiters.size === 0 || this.#withdrawn) return;
    if (!(yield* call('parkBegin', this.#record))) {
      this.#tasks.push(() => this.#awake());
      return;
    }
    if (this.#armed) return;
    this.#armed = (yield { kind: 'listen', word: this.#record + THREAD_PARK }) === 1;
    if (!this.#armed) this.#tasks.push(() => this.#awake());
  }

  *#awake(): Part<void> {
    if (this.#withdrawn || this.#waiters.size === 0) return;
    yield* call('parkEnd', this.#record);
    for (const set of [...this.#waiters.keys()]) {
      if (!(yield* call('isRegistered', set, this.#slot))) yield* this.#serve(set);
    }
    yield* this.#arm();
  }

  *#withdraw(): Part<void> {
    if (this.#withdrawn || this.#waiters.size === 0) return;
    this.#withdrawn = true;
    for (const [waiter] of this.#waiters.values()) {
      const { operation } = waiter as Waiter;
      const wasWoken = (yield* call('unregister', operation.set, this.#slot)) === 0;
      if (!wasWoken || this.#protocol.keepsWithdrawn || !operation.passOn) continue;
      if (yield* operation.passOn()) yield* this.#parker.wake(operation.set);
    }
  }

  *#rejoin(): Part<void> {
    if (!this.#withdrawn) return;
    if (this.#protocol.noRejoin) return;
    this.#withdrawn = false;
    for (const set of [...this.#waiters.keys()]) yield* this.#serve(set);
    yield* this.#arm();
  }
}
