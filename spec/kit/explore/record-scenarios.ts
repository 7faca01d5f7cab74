/** What is explored of records: one of three words comes out whole, wherever others put, take or die meanwhile. */
import { SKIPPED, THREAD_BATCH } from '../../../lib/kernel/layout.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import { call, note, type Part, peek, poke } from './programs.ts';
import { checkItems } from './ring-scenarios.ts';
import { Ring, type RingOptions, SERIAL } from './rings.ts';
import type { Program } from './thread.ts';

interface RecordScenario extends RingOptions {
  /** How many each of those who put tries to put at once, one time after another. */
  readonly puts: readonly (readonly number[])[];
  /** The same of those who get. */
  readonly gets: readonly (readonly number[])[];
  readonly kills?: number;
}

const BYTES = 24;
const WORDS = [0, 8, 16];

export function recordScenario(name: string, options: RecordScenario): Scenario {
  return { name, kills: options.kills ?? 0, setup: (machine) => castOf(machine, options) };
}

function castOf(machine: Machine, options: RecordScenario): Cast {
  const { puts, gets, items = 0 } = options;
  const ring = new Ring(machine, { ...options, records: true, recordBytes: BYTES, overtaken: items > 0 });
  const perhaps = (): number[] => {
    const { dead } = machine;
    return dead ? Array.from({ length: 9 }, (_, i) => 10 * (dead.slot + 1) + i) : [];
  };
  return {
    programs: [
      ...puts.map((counts, slot) => () => putsRecords(machine, ring, slot, counts)),
      ...gets.map((mosts, i) => () => getsRecords(machine, ring, puts.length + i, mosts, items)),
    ],
    invariant: () => ring.invariant(),
    final: () => {
      const { dead } = machine;
      const rest = drain(machine, ring);
      if (dead && ring.size > 0) {
        const claim = machine.solo('ringClaimOf', ring.at, dead.slot + 1);
        machine.solo('ringBury', ring.at, claim);
        rest.push(...drain(machine, ring));
      }
      if (ring.size > 0) throw new Failure(`${ring.size} records are left that nobody can take`);
      checkItems(machine, ring, rest, { lost: dead ? 2 : 0, maybe: perhaps() });
    },
  };
}

const batchOf = ({ ground }: Machine, slot: number): number => ground.record(slot) + THREAD_BATCH;

function* putsRecords(machine: Machine, ring: Ring, slot: number, counts: readonly number[]): Program {
  const at = batchOf(machine, slot);
  let item = 10 * (slot + 1);
  for (const count of counts) {
    for (let i = 0; i < count; i++) for (const word of WORDS) yield* poke(at + i * BYTES + word, item + i);
    const said = yield* call('recordsPut', ring.at, SERIAL, slot + 1, at, count);
    for (let i = 0; i < said; i++) yield* note('put', item + i);
    item += count;
  }
}

function* getsRecords(machine: Machine, ring: Ring, slot: number, mosts: readonly number[], items: number): Program {
  const at = batchOf(machine, slot);
  for (const most of mosts) {
    const said = yield* call('recordsGet', ring.at, SERIAL, at, most);
    for (let i = 0; i < said; i++) yield* note('got', yield* whole(at + i * BYTES, items));
  }
}

/** A record, all of whose words must be the same; of those that were there at the start only the first says anything. */
function* whole(at: number, items: number): Part<number> {
  const [first = 0, ...others] = [yield* peek(at), yield* peek(at + 8), yield* peek(at + 16)];
  if (first > items && others.some((word) => word !== first))
    throw new Failure(`a record is mixed: ${first}, ${others}`);
  return first;
}

function drain(machine: Machine, ring: Ring): number[] {
  const { solo, ground, threads } = machine;
  const at = batchOf(machine, threads.length - 1);
  const items: number[] = [];
  for (;;) {
    const said = solo('recordsGet', ring.at, SERIAL, at, 1);
    if (said === SKIPPED) continue;
    if (said <= 0) return items;
    items.push(ground.get(at));
  }
}
