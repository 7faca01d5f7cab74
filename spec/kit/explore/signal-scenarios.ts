/** What is explored of Event, Latch, Barrier and Value. */
import {
  BARRIER_BYTES,
  BARRIER_PARTIES,
  BARRIER_STATE,
  BARRIER_WAITERS,
  BROKEN,
  EVENT_BYTES,
  EVENT_CHANGES,
  EVENT_WAITERS,
  KIND_BARRIER,
  KIND_EVENT,
  KIND_LATCH,
  KIND_VALUE,
  LATCH_BYTES,
  LATCH_COUNT,
  LATCH_WAITERS,
  VALUE_BYTES,
  VALUE_WORD,
} from '../../../lib/kernel/layout.ts';
import { BrokenBarrierError, TimeoutError } from '../../../lib/memory/errors.ts';
import type { Barrier } from '../../../lib/sync/barrier.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import { call, type Protocol } from './programs.ts';
import { Scene, type Stage } from './stage.ts';
import { ASLEEP, type Program, type VirtualThread } from './thread.ts';

interface SignalScenario<Act> {
  /** What each thread does, one after another. */
  readonly acts: readonly (readonly Act[])[];
  readonly kills?: number;
  readonly timeouts?: number;
  /** Of an event: how often it was changed before. */
  readonly changes?: number;
  readonly protocol?: Protocol;
}

function scenario<Act>(
  name: string,
  options: SignalScenario<Act>,
  castOf: (machine: Machine, options: SignalScenario<Act>) => Cast,
): Scenario {
  const { kills = 0, timeouts = 0 } = options;
  return { name, kills, timeouts, setup: (machine) => castOf(machine, options) };
}

const isLeft = ({ ground }: Machine, set: number): void => {
  if (ground.get(set) !== 0) throw new Failure('somebody is left in the wait set');
};

export type EventAct = 'set' | 'clear' | 'set and clear' | 'wait' | 'wait, or late' | 'async: two wait';

export function eventScenario(name: string, options: SignalScenario<EventAct>): Scenario {
  return scenario(name, options, (machine, { acts, changes = -2, protocol }) => {
    const { ground } = machine;
    const scene = new Scene(machine, { threads: acts.length, noted: { eventChanges: (seen) => seen + 9 }, protocol });
    const at = scene.object(KIND_EVENT, EVENT_BYTES);
    ground.set(at + EVENT_CHANGES, changes); // by default it goes round at the second change
    ground.name({ name: 'changes', at: at + EVENT_CHANGES, bytes: 4 });
    const data = scene.word('what was written before the set');
    return {
      programs: acts.map((mine, slot) => {
        const parts = mine.map((act) => (stage: Stage) => signals(stage, at, act, data));
        return () => scene.play(slot, ...parts);
      }),
      repair: scene.burial,
      // who waits for a set that has not come
      maySleep: ({ said }) => said.at(-1)?.value === ground.get(at + EVENT_CHANGES) + 9,
      final: () => {
        if (machine.threads.every(({ state }) => state !== ASLEEP)) isLeft(machine, at + EVENT_WAITERS);
      },
    };
  });
}

function signals(stage: Stage, at: number, act: EventAct, data: number): void | Promise<void> {
  const event = new stage.classes.Event(stage.at(at));
  if (act === 'async: two wait')
    return Promise.all([event.waitAsync(), event.waitAsync()]).then(() => void stage.touch(data));
  if (act === 'clear') event.clear();
  else if (act === 'wait') {
    event.wait();
    stage.touch(data);
  } else if (act === 'wait, or late') stage.timed(() => stage.tries(() => event.wait({ timeout: 1 }), TimeoutError));
  else {
    if (act === 'set and clear') stage.touch(data, 1);
    event.set();
    if (act === 'set and clear') event.clear();
  }
}

export type LatchAct = 'count down' | 'wait' | 'wait, or late' | 'async: two wait';

export function latchScenario(name: string, options: SignalScenario<LatchAct>): Scenario {
  return scenario(name, options, (machine, { acts, protocol }) => {
    const { ground } = machine;
    const scene = new Scene(machine, { threads: acts.length, protocol });
    const at = scene.object(KIND_LATCH, LATCH_BYTES);
    ground.set(at + LATCH_COUNT, acts.flat().filter((act) => act === 'count down').length);
    ground.name({ name: 'count', at: at + LATCH_COUNT, bytes: 4 });
    const cells = acts.map((_, slot) => scene.word(`what thread ${slot} wrote`));
    return {
      programs: acts.map((mine, slot) => {
        const parts = mine.map((act) => (stage: Stage) => counts(stage, at, act, cells));
        return () => scene.play(slot, ...parts);
      }),
      repair: scene.burial,
      maySleep: () => machine.dead !== undefined && ground.get(at + LATCH_COUNT) > 0,
      final: () => {
        if (ground.get(at + LATCH_COUNT) !== 0 && !machine.dead) throw new Failure('a count was lost');
        if (ground.get(at + LATCH_COUNT) === 0) isLeft(machine, at + LATCH_WAITERS);
      },
    };
  });
}

function counts(stage: Stage, at: number, act: LatchAct, cells: readonly number[]): void | Promise<void> {
  const latch = new stage.classes.Latch(stage.at(at));
  if (act === 'async: two wait') {
    return Promise.all([latch.waitAsync(), latch.waitAsync()]).then(() => {
      for (const cell of cells) stage.touch(cell);
    });
  }
  if (act === 'count down') {
    stage.touch(cells[stage.slot] as number, 1);
    latch.countDown();
  } else if (act === 'wait') {
    latch.wait();
    for (const cell of cells) stage.touch(cell);
  } else stage.timed(() => stage.tries(() => latch.wait({ timeout: 1 }), TimeoutError));
}

export type BarrierAct =
  | 'wait'
  | 'wait, or late'
  | 'wait by a promise'
  | 'wait by a promise, or late'
  | 'abort'
  | 'reset';

export function barrierScenario(name: string, options: SignalScenario<BarrierAct>): Scenario {
  return scenario(name, options, (machine, { acts, protocol }) => {
    const { ground } = machine;
    const parties = acts.filter(([first]) => first?.startsWith('wait')).length;
    const rounds = Math.max(...acts.map(({ length }) => length));
    const scene = new Scene(machine, { threads: acts.length, protocol });
    const at = scene.object(KIND_BARRIER, BARRIER_BYTES);
    ground.set(at + BARRIER_PARTIES, parties);
    ground.constant(at + BARRIER_PARTIES, 4);
    ground.set(at + BARRIER_STATE + 4, -1); // the round, which goes round with the first
    ground.name({ name: 'round', at: at + BARRIER_STATE, bytes: 8 });
    ground.name({ name: 'waiters', at: at + BARRIER_WAITERS, bytes: 64 });
    const cells = Array.from({ length: rounds }, (_, round) =>
      Array.from({ length: parties }, (_, slot) => scene.word(`what thread ${slot} wrote in round ${round}`)),
    );
    const arrived = (): number => ground.get(at + BARRIER_STATE);
    return {
      programs: acts.map((mine, slot) => {
        const parts = mine.map(
          (act, round) => (stage: Stage) => meets(stage, at, act, round, cells[round] as readonly number[]),
        );
        return () => scene.play(slot, ...parts);
      }),
      repair: scene.burial,
      // a party that never comes: it died before, or met a barrier that was broken
      maySleep: () => {
        const asleep = machine.threads.filter(({ state }) => state === ASLEEP).length;
        return mayMiss(machine) && !hasEntered(machine.dead) && asleep === arrived();
      },
      final: () => {
        if (machine.threads.every(({ state }) => state !== ASLEEP)) isLeft(machine, at + BARRIER_WAITERS);
        checkRounds(machine, parties, rounds, arrived());
      },
    };
  });
}

function meets(
  stage: Stage,
  at: number,
  act: BarrierAct,
  round: number,
  cells: readonly number[],
): void | Promise<void> {
  const barrier = new stage.classes.Barrier(stage.at(at));
  if (act.startsWith('wait by')) return meetsAsync(stage, barrier, act, round, cells);
  if (act === 'abort') barrier.abort();
  else if (act === 'reset') barrier.reset();
  else {
    stage.touch(cells[stage.slot] as number, 1);
    let index = -1;
    const wait = (options?: { timeout: number }) => {
      index = barrier.wait(options);
    };
    const broken =
      act === 'wait'
        ? stage.tries(wait, BrokenBarrierError)
        : stage.timed(() => stage.tries<Error>(() => wait({ timeout: 1 }), BrokenBarrierError, TimeoutError));
    stage.note(broken ? 'broken' : `round ${round}`, broken ? -1 : index);
    if (!broken) for (const cell of cells) stage.touch(cell);
  }
}

async function meetsAsync(
  stage: Stage,
  barrier: Barrier,
  act: BarrierAct,
  round: number,
  cells: readonly number[],
): Promise<void> {
  stage.touch(cells[stage.slot] as number, 1);
  let index = -1;
  try {
    index = await barrier.waitAsync(act.endsWith('late') ? { timeout: 1 } : undefined);
  } catch (error) {
    if (!(error instanceof BrokenBarrierError || error instanceof TimeoutError)) throw error;
  }
  stage.note(index < 0 ? 'broken' : `round ${round}`, index);
  if (index >= 0) for (const cell of cells) stage.touch(cell);
}

/** Whether a thread died that was known to come: the supervisor breaks the barrier. */
const hasEntered = (dead: VirtualThread | undefined): boolean =>
  dead?.request?.kind === 'call' && dead.request.name !== 'register';

const mayMiss = ({ dead, threads }: Machine): boolean =>
  dead !== undefined || threads.some(({ said }) => said.some(({ what }) => what === 'broken'));

/** In each round either all parties have an index, each another one, or none has. */
function checkRounds(machine: Machine, parties: number, rounds: number, arrived: number): void {
  if (machine.threads.every(({ state }) => state !== ASLEEP) && arrived !== 0 && (arrived & BROKEN) === 0) {
    if (!machine.dead) throw new Failure(`${arrived} are left as having arrived`);
  }
  const notes = machine.threads.flatMap(({ said }) => said);
  for (let round = 0; round < rounds; round++) {
    const indices = notes.filter(({ what }) => what === `round ${round}`).map(({ value }) => value);
    const spare = machine.dead ? 1 : 0;
    if (indices.length === 0) continue;
    if (new Set(indices).size !== indices.length) throw new Failure(`round ${round} has the indices ${indices}`);
    if (indices.length < parties - spare) throw new Failure(`round ${round} ended for ${indices} only`);
    if (indices.some((index) => index < 0 || index >= parties)) throw new Failure(`an index is ${indices}`);
  }
}

/** What each thread adds, in one of the four types. */
export function valueScenario(name: string, type: 'i32' | 'i64' | 'f64', adds: readonly number[]): Scenario {
  const start = { i32: 2 ** 31 - 2, i64: 2 ** 32 - 2, f64: 2 ** 53 - 2 }[type];
  return {
    name,
    setup(machine) {
      const { ground } = machine;
      const scene = new Scene(machine, { threads: adds.length });
      const at = scene.object(KIND_VALUE, VALUE_BYTES) + VALUE_WORD;
      const view = new DataView(ground.memory.buffer);
      const value = {
        i32: () => view.getInt32(at, true),
        i64: () => Number(view.getBigInt64(at, true)),
        f64: () => view.getFloat64(at, true),
      }[type];
      if (type === 'f64') view.setFloat64(at, start, true);
      else view.setBigInt64(at, BigInt(start), true);
      const name = ({ i32: 'valueAdd', i64: 'valueAdd64', f64: 'valueAddF64' } as const)[type];
      const add = (n: number) =>
        function* (): Program {
          yield* call(name, at - VALUE_WORD, type === 'i64' ? BigInt(n) : n);
        };
      const sum = adds.reduce((all, n) => all + n, start);
      const expected = type === 'i32' ? sum | 0 : sum;
      return {
        programs: adds.map((n) => add(n)),
        final: () => {
          if (value() !== expected) throw new Failure(`the sum is ${value()}, and not ${expected}`);
        },
      };
    },
  };
}
