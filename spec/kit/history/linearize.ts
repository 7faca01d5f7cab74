/**
 * Linearize: is there an order of all operations in which each takes effect at one instant between its call and its return, and
 * its outcome is what the model of the object says?
 *
 * Sources: Wing and Gong, "Testing and Verifying Concurrent Objects" (1993), for the search; Lowe, "Testing for
 * Linearizability" (2017), for what is remembered and for orders that are looked for just in time; Horn and Kroening,
 * "Faster linearizability checking via P-compositionality" (2015), for the separate histories of separate objects.
 *
 * A configuration is a state of the model and the set of operations that are under way and have taken effect. The events are
 * gone through in the order of their stamps, with all configurations that are possible so far:
 *
 * Call    1. the operation is under way  2. settle each configuration
 * Return  1. from each configuration, let operations that are under way take effect, in every order, until the one that returns
 *         has, and further while a try that failed is under way that has not: the one that returns may be its excuse
 *         2. remember each configuration that comes out once, without it  3. when there is none, refuse
 * Settle  an operation that changes nothing (a try that failed) takes effect as soon as it can: to wait gains it nothing
 * Death   on the return of `death`: what the dead lane had under way takes no effect any more, or had it before
 *
 * Operations of one lane with the same stamps are parts of one call, and take effect in their order. The search goes on from
 * instant to instant and keeps only what the next one needs, so its memory does not grow with the history.
 *
 * A history that is refused is told by its shortest window: from the last instant at which only one configuration was possible,
 * to the return that no order explains.
 */
import type { Operation } from './lane.ts';

/** How an object behaves that only one thread uses. */
export interface Model {
  readonly initial: string;
  /** The states after the operation; none when it cannot have its outcome. Of one without an outcome, of every outcome. */
  step(state: string, operation: Operation, underWay: UnderWay): readonly string[];
  /** Whether it leaves the state as it is. */
  idle(operation: Operation): boolean;
}

/** For outcomes that depend on who else is there: asks of the operations under way, and whether they have taken effect. */
export interface UnderWay {
  some(test: (operation: Operation, done: boolean) => boolean): boolean;
}

interface Pending {
  readonly operation: Operation;
  readonly bit: number;
  /** The part of the same call that must take effect before. */
  readonly before: Pending | undefined;
}

interface Configuration {
  readonly state: string;
  readonly done: number; // bits of those under way that have taken effect
}

/** A part of a history that no order explains. */
export interface Refusal {
  /** What was certain at its begin. */
  readonly state: string;
  /** What was under way then or began since, by calls; `done` are those that had taken effect at its begin. */
  readonly window: readonly { readonly operation: Operation; readonly done: boolean }[];
  readonly last: Operation;
}

export interface Verdict {
  readonly operations: number;
  /** Of those, how many were under way together with one of another lane. */
  readonly overlapping: number;
  /** Calls and returns that came next after one of another lane. */
  readonly turns: number;
  /** Returns after which more than one configuration was possible. */
  readonly ambiguous: number;
  readonly refusal: Refusal | undefined;
}

const PLACES = 31; // bits that a number has for operations under way, and for none of them

/** Goes through a history; for objects of their own, call it for each by itself. */
export function linearize(model: Model, operations: readonly Operation[]): Verdict {
  return new Search(model).run(operations);
}

class Search {
  readonly #model: Model;
  #pending: Pending[] = [];
  #deaths = 0; // their bits
  #configurations = new Map<string, Configuration>();
  readonly #crowded = new Set<Operation>();
  #ambiguous = 0;
  #certain: Configuration;
  #held: readonly Pending[] = []; // under way when that was certain
  #since: Operation[] = []; // called since

  constructor(model: Model) {
    this.#model = model;
    this.#certain = { state: model.initial, done: 0 };
    this.#add(this.#configurations, this.#certain);
  }

  run(operations: readonly Operation[]): Verdict {
    let refusal: Refusal | undefined;
    let turns = 0;
    let lane = -1;
    for (const { operation, returns } of eventsOf(operations)) {
      if (operation.lane !== lane) turns++;
      lane = operation.lane;
      if (!returns) this.#call(operation);
      else if (!this.#return(operation)) {
        refusal = this.#refusal(operation);
        break;
      }
    }
    const { size } = this.#crowded;
    return { operations: operations.length, overlapping: size, turns, ambiguous: this.#ambiguous, refusal };
  }

  #call(operation: Operation): void {
    const free = ~this.#pending.reduce((bits, { bit }) => bits | bit, 0);
    const bit = free & -free;
    if (bit === 1 << PLACES) throw new Error(`more than ${PLACES} operations are under way`);
    const before = this.#pending.findLast(({ operation: { lane } }) => lane === operation.lane);
    for (const { operation: other } of this.#pending) {
      if (other.lane !== operation.lane) this.#crowded.add(other).add(operation);
    }
    this.#pending.push({ operation, bit, before });
    if (operation.verb === 'death') this.#deaths |= bit;
    this.#since.push(operation);
    if (!this.#pending.some((pending) => this.#model.idle(pending.operation))) return;
    const settled = new Map<string, Configuration>();
    for (const configuration of this.#configurations.values()) this.#add(settled, this.#settle(configuration));
    this.#configurations = settled;
  }

  #return(operation: Operation): boolean {
    const returning = this.#pending.find((pending) => pending.operation === operation) as Pending;
    const reached = this.#reach(returning);
    const gone = operation.verb === 'death' ? this.#underWayIn(operation.argument) : [];
    gone.push(returning);
    this.#pending = this.#pending.filter((pending) => !gone.includes(pending));
    const mask = ~gone.reduce((bits, { bit }) => bits | bit, 0);
    this.#deaths &= mask;
    this.#configurations = new Map();
    for (const { state, done } of reached) this.#add(this.#configurations, { state, done: done & mask });
    const [first] = this.#configurations.values();
    if (!first) return false;
    if (this.#configurations.size > 1) this.#ambiguous++;
    else [this.#certain, this.#held, this.#since] = [first, this.#pending, []];
    return true;
  }

  #underWayIn(lane: number): Pending[] {
    return this.#pending.filter(({ operation }) => operation.lane === lane);
  }

  /** Every configuration in which the operation has taken effect, and nothing before its return for nothing. */
  #reach(returning: Pending): Configuration[] {
    const reached: Configuration[] = [];
    const open = [...this.#configurations.values()];
    const seen = new Map<string, Configuration>();
    for (let from = open.pop(); from; from = open.pop()) {
      if (from.done & returning.bit) {
        reached.push(from);
        if (!this.#needsExcuse(from)) continue;
      }
      for (const next of this.#successors(from)) if (this.#add(seen, next)) open.push(next);
    }
    return reached;
  }

  #needsExcuse({ done }: Configuration): boolean {
    return this.#pending.some(({ operation, bit }) => !(done & bit) && this.#model.idle(operation));
  }

  #successors(from: Configuration): Configuration[] {
    return this.#pending.flatMap((pending) => {
      if (!this.#isNext(from.done, pending)) return [];
      const states = this.#model.step(from.state, pending.operation, this.#underWay(from));
      return states.map((state) => this.#settle({ state, done: from.done | pending.bit }));
    });
  }

  /** Whether an operation can take effect: it has not, what came before it in its lane has, and the lane is not dead. */
  #isNext(done: number, { operation, bit, before }: Pending): boolean {
    if (done & bit || (this.#deaths & done && this.#isDead(done, operation.lane))) return false;
    return !before || (done & before.bit) !== 0 || !this.#pending.includes(before);
  }

  #isDead(done: number, lane: number): boolean {
    return this.#pending.some(({ operation, bit }) => done & this.#deaths & bit && operation.argument === lane);
  }

  #settle(configuration: Configuration): Configuration {
    const { state } = configuration;
    let { done } = configuration;
    for (const pending of this.#pending) {
      if (!this.#model.idle(pending.operation) || !this.#isNext(done, pending)) continue;
      if (this.#model.step(state, pending.operation, this.#underWay(configuration)).length > 0) done |= pending.bit;
    }
    return { state, done };
  }

  #underWay({ done }: Configuration): UnderWay {
    return { some: (test) => this.#pending.some(({ operation, bit }) => test(operation, (done & bit) !== 0)) };
  }

  /** Whether it was not there yet. */
  #add(configurations: Map<string, Configuration>, configuration: Configuration): boolean {
    const key = `${configuration.done} ${configuration.state}`;
    if (configurations.has(key)) return false;
    configurations.set(key, configuration);
    return true;
  }

  #refusal(last: Operation): Refusal {
    const { state, done } = this.#certain;
    const before = this.#held.map(({ operation, bit }) => ({ operation, done: (done & bit) !== 0 }));
    const since = this.#since.map((operation) => ({ operation, done: false }));
    return { state, window: [...before, ...since], last };
  }
}

/** Calls and returns in their order: of the same stamp first what returned, since the others were called after it. */
function eventsOf(operations: readonly Operation[]): { operation: Operation; returns: boolean }[] {
  const events = operations.flatMap((operation) => [
    { at: 2 * operation.call + 1, operation, returns: false },
    ...(operation.return === Number.POSITIVE_INFINITY ? [] : [{ at: 2 * operation.return, operation, returns: true }]),
  ]);
  return events.sort((a, b) => a.at - b.at);
}

/** A refusal for people to read. */
export function tell({ state, window, last }: Refusal): string {
  const lines = window.map(({ operation, done }) => {
    const { lane, verb, argument, outcome, call } = operation;
    const end = operation.return === Number.POSITIVE_INFINITY ? '...' : operation.return;
    const note = done ? '  had taken effect' : operation === last ? '  no order explains this' : '';
    return `  lane ${lane}  ${call}-${end}  ${verb} ${argument} -> ${outcome ?? '?'}${note}`;
  });
  return [`not linearizable; the state was certainly "${state}", and then:`, ...lines].join('\n');
}
