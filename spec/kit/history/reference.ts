/**
 * Reference: the search for an order as Wing and Gong have it, which tries everything and remembers nothing, for histories of a
 * few operations; and such histories, invented: some that an object could have, and some a little beside that.
 */
import { random } from '../random.ts';
import { CLOSED, type Operation, OWNER_DIED, REFUSED, type Verb } from './lane.ts';
import type { Model } from './linearize.ts';

interface Instant {
  readonly operation: Operation;
  readonly returns: boolean;
}

/** Whether there is an order. */
export function explains(model: Model, operations: readonly Operation[]): boolean {
  const instants = operations
    .flatMap((operation): Instant[] => [
      { operation, returns: false },
      { operation, returns: true },
    ])
    .filter(({ operation, returns }) => !returns || operation.return !== Number.POSITIVE_INFINITY)
    .sort((a, b) => stampOf(a) - stampOf(b));
  return search(model, instants, 0, model.initial, [], []);
}

function stampOf({ operation, returns }: Instant): number {
  return returns ? 2 * operation.return : 2 * operation.call + 1;
}

/** Either time goes on to the next instant, or one that is under way takes effect now. */
function search(
  model: Model,
  instants: readonly Instant[],
  at: number,
  state: string,
  called: readonly Operation[],
  done: readonly Operation[],
): boolean {
  const instant = instants[at];
  if (!instant) return true;
  const { operation, returns } = instant;
  if (!returns) {
    if (search(model, instants, at + 1, state, [...called, operation], done)) return true;
  } else if (done.includes(operation)) {
    const isOver = ({ lane }: Operation): boolean => operation.verb === 'death' && lane === operation.argument;
    const left = called.filter((other) => other !== operation && !isOver(other));
    if (search(model, instants, at + 1, state, left, done)) return true;
  }
  const some = (test: (operation: Operation, done: boolean) => boolean): boolean =>
    called.some((other) => test(other, done.includes(other)));
  const isDead = (lane: number): boolean =>
    some(({ verb, argument }, over) => over && verb === 'death' && argument === lane);
  return called
    .filter((other) => !done.includes(other) && !isDead(other.lane))
    .some((other) =>
      model.step(state, other, { some }).some((next) => search(model, instants, at, next, called, [...done, other])),
    );
}

const LANES = 3;
const MOST = 3; // operations a lane

/** Operations of a few lanes, each of several of the programs, whose outcomes come from an order of them; sometimes one of them is then another. */
export function invent(model: Model, programs: readonly (readonly Verb[])[], seed: number): Operation[] {
  const next = random(seed);
  const operations = intervals(programs, next);
  const outcomes = new Map(operations.map((operation) => [operation, outcomeFor(operation, next)]));
  let state = model.initial;
  const instants = new Map(operations.map((operation) => [operation, operation.call + next(operation.return)]));
  const order = [...instants].sort(([, a], [, b]) => a - b).map(([operation]) => operation);
  for (const operation of order) {
    for (let tries = 0; tries < 24; tries++) {
      const outcome = outcomeFor(operation, next);
      const [reached] = model.step(state, { ...operation, outcome }, { some: () => false });
      if (reached === undefined) continue;
      state = reached;
      outcomes.set(operation, outcome);
      break;
    }
  }
  const changed = operations[next(4 * operations.length)];
  if (changed) outcomes.set(changed, outcomeFor(changed, next));
  const known = operations.map((operation) => ({ ...operation, outcome: outcomes.get(operation) }));
  return next(3) === 0 ? withDeath(known, next) : known;
}

function outcomeFor({ verb }: Operation, next: (limit: number) => number): number {
  if (/^(un|settle|release|close)/.test(verb)) return 0; // these cannot be refused
  return [0, 0, 1, 2, REFUSED, CLOSED, OWNER_DIED][next(7)] as number;
}

function intervals(programs: readonly (readonly Verb[])[], next: (limit: number) => number): Operation[] {
  const verbs = Array.from({ length: LANES }, () => [0, 1, 2].flatMap(() => programs[next(programs.length)] ?? []));
  const turns = Array.from({ length: 2 * LANES * MOST }, () => next(LANES));
  const open: (number | undefined)[] = [];
  const operations: Operation[] = [];
  let [clock, value] = [0, 0];
  for (const lane of turns) {
    const call = open[lane];
    open[lane] = call === undefined ? clock : undefined;
    if (call === undefined || verbs[lane]?.length === 0) continue;
    const verb = verbs[lane]?.shift() as Verb;
    const argument = /ut$/.test(verb) ? value++ % 3 : 1;
    operations.push({ lane, verb, argument, outcome: 0, call, return: ++clock });
  }
  return operations.slice(0, 7);
}

/** The last operation of a lane never returned, since the lane died in it. */
function withDeath(operations: readonly Operation[], next: (limit: number) => number): Operation[] {
  const last = operations.findLast(({ lane }) => lane === 0);
  if (!last) return [...operations];
  const cut = { ...last, outcome: undefined, return: Number.POSITIVE_INFINITY };
  const call = last.call + next(2);
  const death: Operation = { lane: LANES, verb: 'death', argument: 0, outcome: 0, call, return: call + 1 + next(3) };
  return [...operations.filter((operation) => operation !== last), cut, death];
}
