/** What is explored of the allocator and of the wait sets. */
import {
  FREE,
  HELD,
  REGION_HIGH,
  REGION_SERIAL,
  REGION_WANTED,
  UNIT,
  USED,
  WAIT_SET_BYTES,
} from '../../../lib/kernel/layout.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import { AGAIN, call, note, Parker, type Part, type Protocol, touch } from './programs.ts';
import type { Program } from './thread.ts';

/** Claims so many units once for each number; frees each piece before the next, unless it keeps the last. */
export interface Claimer {
  readonly units: readonly number[];
  readonly keeps?: boolean;
  readonly zeroed?: boolean;
  /** Takes what there is, up to that. */
  readonly part?: boolean;
  /** Tries the piece first that it had before. */
  readonly again?: boolean;
  /** Sleeps until it gets them. */
  readonly waits?: boolean;
}

interface PieceScenario {
  readonly units: number;
  readonly claimers: readonly Claimer[];
  readonly kills?: number;
  readonly protocol?: Protocol;
}

export function pieceScenario(name: string, options: PieceScenario): Scenario {
  return { name, kills: options.kills ?? 0, setup: (machine) => castOf(machine, options) };
}

function castOf(machine: Machine, { units, claimers, protocol }: PieceScenario): Cast {
  const { ground } = machine;
  const { table, pieces } = ground.pieces(units, UNIT);
  const set = ground.take(WAIT_SET_BYTES);
  ground.set(table, units);
  ground.set(table + 4, FREE);
  ground.shared(REGION_SERIAL, 8);
  ground.shared(REGION_WANTED, 4);
  ground.name({ name: 'high', at: REGION_HIGH, bytes: 4 });
  ground.name({ name: 'wanted', at: REGION_WANTED, bytes: 4 });
  for (let unit = 0; unit < units; unit++) ground.name({ name: `tag ${unit}`, at: table + 8 * unit, bytes: 8 });
  ground.name({ name: 'bytes of a piece', at: pieces, bytes: units * UNIT });
  return {
    programs: claimers.map((claimer, slot) => () => claims(claimer, slot, set, new Parker(ground, slot, protocol))),
    invariant: () => walk(machine, table, units),
    final: () => checkEnd(machine, table, units, claimers),
  };
}

interface Piece {
  readonly state: number;
  readonly units: number;
}

/** All pieces; throws when they do not cover the region. */
function walk({ ground }: Machine, table: number, all: number): Piece[] {
  const found: Piece[] = [];
  let unit = 0;
  while (unit < all) {
    const [units, state] = [ground.get(table + 8 * unit), ground.get(table + 8 * unit + 4)];
    if (units <= 0 || state === 0) throw new Failure(`no piece begins at unit ${unit}`);
    found.push({ state, units });
    unit += units;
  }
  if (unit !== all) throw new Failure(`the pieces are ${unit} units long, the region has ${all}`);
  return found;
}

function checkEnd(machine: Machine, table: number, all: number, claimers: readonly Claimer[]): void {
  const { dead } = machine;
  for (const { state } of walk(machine, table, all)) {
    const isOf = state === USED || (dead && state === HELD + dead.slot);
    if (state !== FREE && !isOf) throw new Failure(`a piece is left in state ${state}`);
  }
  if (dead || claimers.some(({ keeps }) => keeps)) return;
  if (machine.solo('pieceClaim', all, machine.threads.length - 1, 0) !== 0) throw new Failure('not all came back');
}

function* claims(claimer: Claimer, slot: number, set: number, parker: Parker): Program {
  let last = -1;
  for (const [i, units] of claimer.units.entries()) {
    const again = last >= 0 && (yield* call('pieceClaimAt', last, units, slot)) !== 0;
    const unit = again ? last : yield* claim(claimer, units, slot, set, parker);
    if (unit < 0) continue;
    yield* call('pieceSeal', unit);
    yield* use(unit, slot, claimer.zeroed === true);
    if (claimer.again) last = unit;
    if (claimer.keeps && i === claimer.units.length - 1) continue;
    yield* free(unit, set, parker);
  }
}

function* claim(
  { part, zeroed, waits }: Claimer,
  units: number,
  slot: number,
  set: number,
  parker: Parker,
): Part<number> {
  const once = (): Part<number> =>
    part ? call('pieceClaimPart', units, slot) : call('pieceClaim', units, slot, Number(zeroed === true));
  if (!waits) return yield* once();
  const said = yield* parker.block<number>({
    set,
    *attempt() {
      let unit = yield* once();
      if (unit >= 0) return unit;
      yield* call('spaceWant');
      unit = yield* once();
      return unit >= 0 ? unit : AGAIN;
    },
  });
  return typeof said === 'number' ? said : -1;
}

/** Writes over each unit: two who have the same one are seen as a race. */
function* use(unit: number, slot: number, zeroed: boolean): Part<void> {
  const units = yield* call('pieceUnits', unit);
  if (units === 0) throw new Failure(`no piece is at unit ${unit}, which thread ${slot} has claimed`);
  for (let i = 0; i < units; i++) {
    const at = yield* call('pieceAt', unit + i);
    if (zeroed && (yield* touch(at)) !== 0) throw new Failure(`unit ${unit + i} is not zeroed`);
    yield* touch(at, slot + 1);
  }
}

/** As `Region.release`. */
function* free(unit: number, set: number, parker: Parker): Part<void> {
  if (!(yield* call('pieceFree', unit))) throw new Failure(`unit ${unit} could not be freed`);
  if (yield* call('spaceWanted')) yield* parker.wakeAll(set);
}

/** Threads that register and others that take them out: each is taken once, or is there still. */
export function waiterScenario(name: string, { waiters, takers }: { waiters: number; takers: number }): Scenario {
  return {
    name,
    setup(machine) {
      const set = machine.ground.take(WAIT_SET_BYTES);
      machine.ground.name({ name: 'wait set', at: set, bytes: WAIT_SET_BYTES });
      const registers = function* (slot: number): Program {
        yield* call('register', set, slot);
      };
      const takes = function* (slot: number): Program {
        yield* note('took', yield* call('takeWaiter', set, slot));
      };
      const writers = [...Array<typeof takes>(waiters).fill(registers), ...Array<typeof takes>(takers).fill(takes)];
      return {
        programs: writers.map((write, slot) => () => write(slot)),
        final: () => checkTaken(machine, set, waiters),
      };
    },
  };
}

function checkTaken({ threads, ground }: Machine, set: number, waiters: number): void {
  const taken = threads.flatMap(({ said }) => said.map(({ value }) => value)).filter((slot) => slot >= 0);
  const left = Array.from({ length: 32 }, (_, slot) => slot).filter((slot) => (ground.get(set) >>> slot) & 1);
  const all = [...taken, ...left].sort();
  const expected = Array.from({ length: waiters }, (_, slot) => slot);
  if (`${all}` !== `${expected}`) throw new Failure(`of ${expected} were taken ${taken}, and left ${left}`);
}
