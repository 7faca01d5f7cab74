/** All that is explored, and how far: in `npm test`, and in `npm run explore`. */

import { mutexDeaths, ringDeaths } from './death-scenarios.ts';
import { DEATHS } from './deaths.ts';
import { type Locker, lockScenario } from './lock-scenarios.ts';
import type { Scenario } from './machine.ts';
import { type Claimer, pieceScenario, waiterScenario } from './piece-scenarios.ts';
import { ALL, type Plan, type Plans, plan } from './plans.ts';
import type { Protocol } from './programs.ts';
import { queuePlansUnder } from './queue-plans.ts';
import {
  batchEnd,
  batchGets,
  batchPuts,
  blocksEnd,
  closes,
  gets,
  getsAsync,
  getsUntilClosed,
  joins,
  narrowEnd,
  puts,
  putsAndCloses,
  putsAsync,
  putsJoinsAndCloses,
  type RingScenario,
  reserves,
  ringScenario,
  takesAndPuts,
  takesOne,
  timedGet,
  timedPut,
  tryBatchGet,
  tryBatchGets,
  tryBatchPut,
  tryBatchPuts,
  tryGets,
  tryPuts,
  wakesAll,
  works,
  worksAsyncAndJoins,
  worksUntilClosed,
} from './ring-scenarios.ts';
import { syncPlansUnder } from './sync-plans.ts';

/** Where positions start: just below the wrap of the sign, and of the word. */
const SIGN = 2 ** 31 - 2;
const WORD = 2 ** 32 - 2;

function corePlansUnder(protocol: Protocol): Plans {
  const locks = (name: string, lockers: readonly Locker[], options: { kills?: number; timeouts?: number } = {}) =>
    lockScenario(`mutex: ${name}`, { lockers, protocol, ...options });
  const pieces = (name: string, units: number, claimers: readonly Claimer[], kills = 0) =>
    pieceScenario(`pieces: ${name}`, { units, claimers, kills, protocol });
  const ring = (name: string, options: RingScenario) => ringScenario(`ring: ${name}`, { protocol, ...options });
  const records = { records: true };
  const plans: readonly Plan[] = [
    plan(ring('a producer and a consumer sleep', { capacity: 1, position: SIGN, roles: [puts(2), gets(2)] })),
    plan(ring('two producers sleep', { capacity: 1, position: WORD, roles: [puts(1), puts(1), gets(2)] }), 2, 4),
    plan(ring('two consumers sleep', { capacity: 1, position: WORD, roles: [puts(2), gets(1), gets(1)] }), 2, 4),
    plan(ring('deadlines', { capacity: 1, items: 1, roles: [timedPut, timedPut, timedGet], timeouts: 2 }), 1),
    plan(ring('close and sleep', { capacity: 1, position: SIGN, roles: [puts(1), getsUntilClosed, closes] }), 2),
    plan(ring('the last put closes', { capacity: 2, roles: [putsAndCloses(2), getsUntilClosed] }), 3),
    plan(ring('join', { capacity: 2, roles: [puts(1), works(1), joins] })),
    plan(ring('two workers', { capacity: 2, items: 2, roles: [works(1), works(1), joins] })),
    plan(ring('two take many', { capacity: 3, items: 2, roles: [tryBatchGet(2), tryBatchGet(3), tryPuts(1)] })),
    plan(
      ring('wide, a lap', {
        ...{ capacity: 1, wide: true, items: 1, position: WORD, overtaken: true },
        roles: [tryPuts(2), tryGets(2), tryGets(1)],
      }),
    ),
    plan(
      ring('batches, a lap', {
        ...{ capacity: 2, items: 2, position: SIGN, overtaken: true },
        roles: [tryBatchPuts(2, 2), tryGets(2), tryBatchGets(2, 2)],
      }),
    ),
    plan(ring('promises of both sides', { capacity: 1, position: WORD, roles: [putsAsync(2), getsAsync(2)] })),
    plan(ring('promises of gets, and a sleeper', { capacity: 1, roles: [puts(3), getsAsync(2), gets(1)] }), 1, 2),
    plan(ring('a promise while its thread blocks', { capacity: 2, roles: [puts(2), getsAsync(1, true)] })),
    plan(ring('the same beside a sleeper', { capacity: 2, roles: [puts(3), getsAsync(1, true), gets(1)] }), 1, 2),
    plan(
      ring('a join with a promise to work', {
        capacity: 2,
        roles: [worksAsyncAndJoins, worksUntilClosed, putsJoinsAndCloses],
      }),
      1,
      2,
    ),
    plan(ring('promises with deadlines', { capacity: 1, roles: [tryPuts(2), getsAsync(2, false, true)], timeouts: 2 })),
    plan(ring('close', { capacity: 1, position: WORD, roles: [tryPuts(2), tryGets(2), closes] })),
    plan(ring('two producers', { capacity: 1, position: WORD, roles: [tryPuts(1), tryPuts(1), tryGets(2)] })),
    plan(ring('three producers', { capacity: 2, position: SIGN, roles: [tryPuts(1), tryPuts(1), tryPuts(1)] })),
    plan(ring('two consumers', { capacity: 3, position: SIGN, items: 3, roles: [tryGets(2), tryGets(2), tryPuts(1)] })),
    plan(ring('a stale tail', { capacity: 2, lag: 2, position: SIGN, roles: [tryPuts(2), tryPuts(1), tryGets(1)] })),
    plan(
      ring('hints of a lap ago', { capacity: 2, lag: 4, items: 1, position: WORD, roles: [tryPuts(1), tryGets(2)] }),
    ),
    plan(ring('never empty', { capacity: 2, items: 2, position: SIGN, roles: [takesOne, takesAndPuts(3)] })),
    plan(ring('a lap', { capacity: 1, position: WORD, roles: [tryPuts(3), tryGets(3), tryPuts(1)] })),
    plan(ring('wide', { capacity: 1, wide: true, position: WORD, roles: [tryPuts(2), tryGets(2), tryGets(1)] })),
    plan(ring('records', { ...records, capacity: 1, position: WORD, roles: [tryPuts(2), tryGets(2), tryGets(1)] })),
    plan(ring('records in batches', { ...records, capacity: 2, roles: [tryBatchPut(2), tryPuts(1), tryBatchGet(2)] })),
    plan(
      ring('records, a lap', {
        ...{ ...records, capacity: 1, items: 1, position: WORD, overtaken: true },
        roles: [tryPuts(2), tryGets(2), tryBatchGet(1)],
      }),
    ),
    plan(ring('wide, sleeping', { capacity: 1, wide: true, roles: [puts(2), gets(1), gets(1)] }), 2, 4),
    plan(ring('batches', { capacity: 3, position: WORD - 2, roles: [tryBatchPut(2), tryBatchPut(2), tryBatchGet(4)] })),
    plan(ring('batch and single', { capacity: 3, position: SIGN, roles: [tryBatchPut(3), tryPuts(1), tryGets(2)] })),
    plan(
      ring('a part of a run', { capacity: 3, position: WORD, roles: [tryBatchPut(3), tryBatchGet(2), tryBatchGet(2)] }),
    ),
    plan(ring('batch and close', { capacity: 3, position: SIGN, roles: [tryBatchPut(3), closes, tryBatchGet(3)] })),
    plan(ring('wide batches', { capacity: 2, wide: true, roles: [tryBatchPut(2), tryPuts(1), tryBatchGet(2)] })),
    plan(
      ring('batches sleep', { capacity: 2, position: WORD, roles: [batchPuts(2), batchPuts(2), batchGets(4)] }),
      1,
      3,
    ),
    plan(ring('blocks', { capacity: 1, blocks: 2, position: WORD, roles: [tryPuts(2), tryGets(1), tryGets(1)] })),
    plan(
      ring('blocks, two producers', {
        capacity: 1,
        blocks: 2,
        position: SIGN,
        roles: [tryPuts(1), tryPuts(1), tryGets(2)],
      }),
    ),
    plan(ring('blocks, reserved', { capacity: 1, blocks: 1, roles: [reserves(2), puts(1), gets(1)] }), 2),
    plan(ring('blocks, all taken', { capacity: 2, blocks: 1, roles: [puts(1), puts(1), gets(2)] }), 2, 3),

    plan(locks('two threads, twice each', [{ times: 2 }, { times: 2 }])),
    plan(locks('three threads', [{}, {}, {}])),
    plan(locks('three that only try', [{ tries: true }, { tries: true }, { times: 2 }])),
    plan(locks('a deadline', [{ timed: true }, { times: 2 }, {}], { timeouts: 1 }), 2),
    plan(locks('promises', [{ times: 2, async: true }, { times: 2 }])),
    plan(locks('promises of two threads', [{ times: 2, async: true }, { async: true }])),
    plan(locks('promises, a deadline', [{ times: 2, async: true, timed: true }, {}, {}], { timeouts: 1 }), 1, 3),
    plan(locks('promises, handed over', [{ times: 2, async: true, long: 'at once' }, { times: 2 }])),
    plan(locks('handed over', [{ long: 'at once' }, { times: 2 }])),
    plan(locks('handed over to one of two', [{ long: 'at once' }, { long: 'at once' }, {}])),
    plan(locks('handed over later', [{ long: 'later' }, { times: 2 }, {}]), 2),
    plan(locks('handed over as the time is up', [{ long: 'at once', timed: true }, { times: 2 }], { timeouts: 1 })),
    plan(locks('one of three gives up', [{ timed: true }, {}, {}, {}], { timeouts: 1 }), 2, 3),
    plan(locks('one of two gives up', [{ long: 'at once', timed: true }, { long: 'at once' }, {}], { timeouts: 1 }), 2),

    plan(waiterScenario('waiters: two are taken by two', { waiters: 2, takers: 2 })),
    plan(waiterScenario('waiters: three are taken by two', { waiters: 3, takers: 2 })),
    plan(pieces('claim and free', 4, [{ units: [2, 1] }, { units: [3, 2] }])),
    plan(pieces('three claim', 3, [{ units: [1] }, { units: [2] }, { units: [1] }])),
    plan(
      pieces('two that keep', 3, [
        { units: [1, 2], keeps: true },
        { units: [1, 1], keeps: true },
      ]),
    ),
    plan(
      pieces('zeroed', 3, [
        { units: [1, 1], zeroed: true },
        { units: [2], zeroed: true },
      ]),
    ),
    plan(
      pieces('claimed again', 4, [
        { units: [2, 2, 1], again: true },
        { units: [1, 3], zeroed: true },
      ]),
    ),
    plan(pieces('parts', 3, [{ units: [1, 1] }, { units: [3, 2], part: true }])),
    plan(
      pieces('wait for space', 2, [
        { units: [2], waits: true },
        { units: [2], waits: true },
      ]),
    ),
    plan(
      pieces('three wait for space', 2, [{ units: [1], waits: true }, { units: [2], waits: true }, { units: [1] }]),
      2,
      3,
    ),
  ];
  /** The same with the death of one thread before any of its steps. */
  const deaths: readonly Plan[] = [
    plan(
      ring('death of one of two producers', {
        ...{ capacity: 2, position: WORD, kills: 1, final: narrowEnd(1) },
        roles: [tryPuts(1), tryPuts(1), tryGets(2)],
      }),
    ),
    plan(
      ring('death of one of two consumers', {
        ...{ capacity: 2, items: 1, position: SIGN, kills: 1, final: narrowEnd(1) },
        roles: [tryGets(1), tryGets(1), tryPuts(1)],
      }),
    ),
    plan(
      ring('death in a batch', {
        ...{ capacity: 3, position: WORD, kills: 1, final: batchEnd(3) },
        roles: [tryBatchPut(2), tryPuts(1), tryBatchGet(3)],
      }),
    ),
    plan(
      ring('death in a batch of records', {
        ...{ ...records, capacity: 3, position: WORD, kills: 1, final: batchEnd(3) },
        roles: [tryBatchPut(2), tryPuts(1), tryBatchGet(3)],
      }),
    ),
    plan(
      ring('death in a wide put', {
        ...{ capacity: 2, wide: true, position: SIGN, kills: 1, final: batchEnd(1) },
        roles: [tryPuts(1), tryPuts(1), tryGets(2)],
      }),
    ),
    plan(
      ring('death with a block', {
        ...{ capacity: 1, blocks: 2, position: WORD, kills: 1, final: blocksEnd },
        roles: [tryPuts(1), tryGets(1), tryGets(1)],
      }),
    ),
    plan(
      ring('death of a sleeper or a waker, repaired', {
        ...{
          capacity: 1,
          position: SIGN,
          kills: 1,
          final: narrowEnd(1),
          sleepsForTheDead: true,
          repair: wakesAll(protocol),
        },
        roles: [puts(1), gets(1)],
      }),
    ),
    plan(
      ring('death among three, repaired', {
        ...{
          capacity: 1,
          position: SIGN,
          kills: 1,
          final: narrowEnd(1),
          sleepsForTheDead: true,
          repair: wakesAll(protocol),
        },
        roles: [puts(1), puts(1), gets(2)],
      }),
      0,
      2,
    ),
    plan(locks('death of one of two', [{ long: 'at once' }, { times: 2 }], { kills: 1 })),
    plan(locks('death of one of three', [{ long: 'at once' }, {}, {}], { kills: 1 }), 1, 3),
    plan(locks('death as the time is up', [{ long: 'at once', timed: true }, { times: 2 }], { kills: 1, timeouts: 1 })),
    plan(pieces('death', 3, [{ units: [2] }, { units: [1, 2] }], 1)),
    plan(mutexDeaths('deaths: a mutex', { deaths: 'two, repaired in turn', threads: 2, protocol })),
    plan(
      mutexDeaths('deaths: a mutex of two, a thread and its supervisor', {
        deaths: 'a thread and its supervisor',
        threads: 2,
        protocol,
      }),
      0,
      3,
    ),
    plan(
      ringDeaths('deaths: a claim, a take and who waits', {
        ...{ deaths: 'two, repaired in turn', capacity: 3, items: 1, position: SIGN, lost: 1, protocol },
        roles: [tryBatchPut(2), gets(1), gets(1)],
      }),
      0,
      1,
    ),
    plan(
      mutexDeaths('deaths: a mutex of three, in turn', { deaths: 'two, repaired in turn', threads: 3, protocol }),
      0,
      1,
    ),
    plan(
      mutexDeaths('deaths: a mutex of three, at once', { deaths: 'two, repaired at once', threads: 3, protocol }),
      0,
      1,
    ),
    ...DEATHS.flatMap((deaths) => {
      const quick = deaths === 'two, repaired in turn' ? ALL : 0;
      const long = deaths === 'two, repaired at once' ? 2 : ALL;
      const claims = { deaths, capacity: 3, items: 1, position: WORD, lost: 1, protocol };
      const blocks = { deaths, capacity: 1, blocks: 2, position: WORD, lost: 1, protocol };
      return [
        plan(
          ringDeaths(`deaths: a claim and a take, ${deaths}`, { ...claims, roles: [tryBatchPut(2), tryGets(1)] }),
          ...[quick, long],
        ),
        plan(
          ringDeaths(`deaths: with blocks, ${deaths}`, { ...blocks, roles: [tryPuts(1), tryGets(1)] }),
          ...[quick, long],
        ),
      ];
    }),
  ];
  /** Too many threads for every schedule: for PCT. */
  const crowds: readonly Scenario[] = [
    ring('three producers and three consumers', {
      ...{ capacity: 2, position: WORD },
      roles: [puts(2), puts(2), puts(2), gets(2), gets(2), gets(2)],
    }),
    ring('blocks for six', {
      ...{ capacity: 2, blocks: 3, position: SIGN },
      roles: [puts(2), puts(2), puts(1), gets(2), gets(2), gets(1)],
    }),
    ring('batches and singles for six', {
      ...{ capacity: 3, position: SIGN, overtaken: true },
      roles: [batchPuts(3), puts(2), puts(1), batchGets(3), gets(2), gets(1)],
    }),
    ring('six, one of whom dies', {
      ...{
        capacity: 2,
        position: WORD,
        kills: 1,
        final: narrowEnd(1),
        sleepsForTheDead: true,
        repair: wakesAll(protocol),
      },
      roles: [puts(2), puts(2), puts(2), gets(2), gets(2), gets(2)],
    }),
    locks('six', [{ times: 2 }, { long: 'later' }, { long: 'at once' }, { timed: true }, {}, {}], { timeouts: 2 }),
    locks('six, one of whom dies', [{}, { long: 'later' }, { long: 'at once' }, {}, {}, { times: 2 }], { kills: 1 }),
    pieces(
      'six',
      5,
      [2, 1, 3, 1, 2, 1].map((units) => ({ units: [units, 1], waits: true })),
    ),
  ];
  return { plans, deaths, crowds };
}

function together(all: readonly Plans[]): Plans {
  return {
    plans: all.flatMap(({ plans }) => plans),
    deaths: all.flatMap(({ deaths }) => deaths),
    crowds: all.flatMap(({ crowds }) => crowds),
  };
}

/** Of memory, waiting, the mutex and the ring. */
export const core: Plans = corePlansUnder({});
/** Of the other locks and signals. */
export const sync: Plans = syncPlansUnder({});
/** Of broadcasts, pipes, redelivery and the look for deadlocks. */
export const queues: Plans = queuePlansUnder({});
export const standard: Plans = together([core, sync, queues]);

/** The scenarios under a protocol of waiting, which is that of lib/memory/wait.ts unless a mutant changes it. */
export function plansUnder(protocol: Protocol): Plans {
  return together([corePlansUnder(protocol), syncPlansUnder(protocol), queuePlansUnder(protocol)]);
}
