/** Small scenarios whose schedules can be counted by hand, for the specs of the explorer itself. */
import { REGION_WANTED, THREAD_PARK } from '../../../lib/kernel/layout.ts';
import { Failure, type Machine, type Scenario } from './machine.ts';
import { call, note, touch } from './programs.ts';
import type { Program } from './thread.ts';

/** Threads that store one shared word so many times each. */
export function storing(times: readonly number[]): Scenario {
  return {
    name: 'storing',
    setup({ ground }) {
      ground.shared(REGION_WANTED, 4);
      const stores = (count: number) =>
        function* (): Program {
          for (let i = 0; i < count; i++) yield* call('spaceWant');
        };
      return { programs: times.map(stores) };
    },
  };
}

/** Two threads, each of which counts up by an exchange that is none: the outcomes are collected. */
export function outcomes(seen: Set<string>): Scenario {
  return {
    name: 'outcomes',
    setup(machine: Machine) {
      machine.ground.shared(REGION_WANTED, 4);
      const takes = function* (): Program {
        yield* note('first', yield* call('spaceWanted'));
        yield* call('spaceWant');
        yield* note('second', yield* call('spaceWanted'));
      };
      return {
        programs: [takes, takes],
        final: () => {
          seen.add(JSON.stringify(machine.threads.map(({ said }) => said.map(({ value }) => value))));
        },
      };
    },
  };
}

/** Two plain writes of one word that nothing orders. */
export const racing: Scenario = {
  name: 'racing',
  setup({ ground }) {
    const word = ground.take(4);
    ground.name({ name: 'a word', at: word, bytes: 4 });
    const writes = function* (): Program {
      yield* touch(word, 1);
    };
    return { programs: [writes, writes] };
  },
};

/** A thread that sleeps and another that forgets to touch the futex. */
export const sleeping: Scenario = {
  name: 'sleeping',
  setup({ ground }) {
    const record = ground.record(0);
    const sleeps = function* (): Program {
      if (yield* call('parkBegin', record)) yield { kind: 'sleep', word: record + THREAD_PARK, timed: false };
    };
    const wakes = function* (): Program {
      yield* call('unpark', record);
    };
    return { programs: [sleeps, wakes] };
  },
};

/** The same that finds its deadline over. */
export const late: Scenario = {
  name: 'late',
  timeouts: 1,
  setup() {
    const looks = function* (): Program {
      if ((yield { kind: 'expire' }) === 1) throw new Failure('the time is up');
    };
    return { programs: [looks] };
  },
};

/** One thread that may die between its two stores. */
export const dying: Scenario = {
  name: 'dying',
  kills: 1,
  setup(machine) {
    machine.ground.shared(REGION_WANTED, 4);
    const stores = function* (): Program {
      yield* call('spaceWant');
      yield* call('spaceWanted');
    };
    return {
      programs: [stores],
      final: () => {
        if (machine.ground.get(REGION_WANTED) !== 0) throw new Failure('it died in between');
      },
    };
  },
};
