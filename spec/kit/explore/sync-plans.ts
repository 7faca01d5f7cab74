/** What is explored of everything but Mutex and Queue, which scenarios.ts has, and how far. */
import { conditionScenario, type Deed } from './condition-scenarios.ts';
import { deadlockScenario, type LockAct } from './deadlock-scenarios.ts';
import type { Scenario } from './machine.ts';
import { type Plans, plan } from './plans.ts';
import type { Protocol } from './programs.ts';
import { rwlockScenario, type Use } from './rwlock-scenarios.ts';
import { semaphoreScenario, type Taker } from './semaphore-scenarios.ts';
import {
  type BarrierAct,
  barrierScenario,
  type EventAct,
  eventScenario,
  type LatchAct,
  latchScenario,
  valueScenario,
} from './signal-scenarios.ts';

interface Faults {
  readonly kills?: number;
  readonly timeouts?: number;
}

const takes = (...amounts: readonly number[]): Taker => ({ takes: amounts });
const keeps: Taker = { takes: [1], keeps: true };
const once: Faults = { kills: 1 };
const late: Faults = { timeouts: 1 };

type LockName = 'mutex A' | 'mutex B' | 'mutex C' | 'rlock';

const inOrder = (one: LockName, other: LockName): readonly LockAct[] => [
  `lock ${one}`,
  `lock ${other}`,
  `unlock ${other}`,
  `unlock ${one}`,
];

export function syncPlansUnder(protocol: Protocol): Plans {
  const semaphore = (name: string, permits: number, takers: readonly Taker[], faults: Faults = {}): Scenario =>
    semaphoreScenario(`semaphore: ${name}`, { permits, takers, protocol, ...faults });
  const rwlock = (name: string, uses: readonly (readonly Use[])[], faults: Faults = {}): Scenario =>
    rwlockScenario(`rwlock: ${name}`, { uses, protocol, ...faults });
  const condition = (name: string, deeds: readonly (readonly Deed[])[], faults: Faults = {}): Scenario =>
    conditionScenario(`condition: ${name}`, { deeds, protocol, ...faults });
  const event = (
    name: string,
    acts: readonly (readonly EventAct[])[],
    faults: Faults & { changes?: number } = {},
  ): Scenario => eventScenario(`event: ${name}`, { acts, protocol, ...faults });
  const latch = (name: string, acts: readonly (readonly LatchAct[])[], faults: Faults = {}): Scenario =>
    latchScenario(`latch: ${name}`, { acts, protocol, ...faults });
  const barrier = (name: string, acts: readonly (readonly BarrierAct[])[], faults: Faults = {}): Scenario =>
    barrierScenario(`barrier: ${name}`, { acts, protocol, ...faults });
  const deadlock = (
    name: string,
    acts: readonly (readonly LockAct[])[],
    faults: { timeouts?: number } = {},
  ): Scenario => deadlockScenario(`deadlock: ${name}`, { acts, protocol, ...faults });
  return {
    plans: [
      plan(semaphore('two take one of one', 1, [takes(1), takes(1)])),
      plan(semaphore('two take one of one twice', 1, [takes(1, 1), takes(1, 1)]), 4),
      plan(semaphore('one wants two, one wants one', 2, [takes(2), takes(1, 1)])),
      plan(semaphore('one only tries', 1, [{ takes: [1, 1], tries: true }, takes(1)])),
      plan(semaphore('a deadline', 1, [{ takes: [1], timed: true }, takes(1)], late)),
      plan(semaphore('three take one of one', 1, [takes(1), takes(1), takes(1)]), 3),
      plan(semaphore('three, one of whom wants both', 2, [takes(2), takes(1), takes(1)]), 3, 6),
      plan(semaphore('one of three gives up', 1, [{ takes: [1], timed: true }, takes(1), takes(1)], late), 2, 4),
      plan(semaphore('who wants two gives up', 2, [{ takes: [2], timed: true }, takes(1), takes(1)], late), 2, 4),
      plan(semaphore('two are freed at once', 2, [{ takes: [2], gives: true }, keeps, keeps])),
      plan(rwlock('a reader and a writer', [['read'], ['write']])),
      plan(rwlock('a reader and a writer, twice', [['read'], ['write', 'write']])),
      plan(
        rwlock('both twice', [
          ['read', 'read'],
          ['write', 'write'],
        ]),
        3,
      ),
      plan(rwlock('a read in a read', [['read again'], ['write']])),
      plan(
        rwlock('both only try', [
          ['try to read', 'try to read'],
          ['try to write', 'try to write'],
        ]),
      ),
      plan(rwlock('one tries to read', [['try to read', 'read'], ['write']])),
      plan(rwlock('a reader gives up', [['read, or late'], ['write', 'write']], late), 3),
      plan(rwlock('a writer gives up', [['read', 'read'], ['write, or late']], late)),
      plan(rwlock('two readers and a writer', [['read'], ['read'], ['write']]), 2, 4),
      plan(rwlock('a reader and two writers', [['read'], ['write'], ['write']]), 2, 4),
      plan(rwlock('three writers', [['write'], ['write'], ['write']])),
      plan(rwlock('one of two readers gives up', [['read, or late'], ['read'], ['write']], late), 1, 3),
      plan(rwlock('one of two writers gives up', [['read'], ['write, or late'], ['write']], late), 1, 3),
      plan(condition('one waits, one notifies', [['wait'], ['notify']])),
      plan(
        condition('one waits twice', [
          ['wait', 'wait'],
          ['notify', 'notify'],
        ]),
        2,
      ),
      plan(condition('one is notified twice', [['wait'], ['notify', 'notify']])),
      plan(condition('late', [['wait, or late'], ['notify']], late)),
      plan(condition('two wait, one is notified', [['wait'], ['wait'], ['notify']]), 2, 4),
      plan(condition('two wait, all are notified', [['wait'], ['wait'], ['notify all']]), 2, 4),
      plan(condition('one of two is late', [['wait, or late'], ['wait'], ['notify']], late), 1, 3),
      plan(
        event('set and cleared, and set again', [
          ['wait', 'wait'],
          ['set and clear', 'set'],
        ]),
      ),
      plan(event('two wait', [['wait'], ['wait'], ['set and clear']], { changes: 6 })),
      plan(event('two set and clear', [['wait'], ['set', 'clear'], ['clear', 'set']])),
      plan(event('late', [['wait, or late'], ['wait'], ['set and clear']], late)),
      plan(latch('two', [['wait'], ['count down', 'wait']])),
      plan(latch('three', [['wait'], ['count down', 'wait'], ['count down']])),
      plan(latch('late', [['wait, or late'], ['wait'], ['count down']], late)),
      plan(
        barrier('two parties, two rounds', [
          ['wait', 'wait'],
          ['wait', 'wait'],
        ]),
      ),
      plan(barrier('three parties', [['wait'], ['wait'], ['wait']]), 3),
      plan(barrier('one of two gives up', [['wait, or late'], ['wait']], late)),
      plan(barrier('one of three gives up', [['wait, or late'], ['wait'], ['wait']], late), 2, 4),
      plan(
        barrier(
          'one gives up in the second round',
          [
            ['wait', 'wait, or late'],
            ['wait', 'wait'],
          ],
          late,
        ),
      ),
      plan(barrier('aborted', [['wait'], ['wait'], ['abort']]), 2),
      plan(barrier('reset', [['wait'], ['wait'], ['reset']]), 2),
      plan(semaphore('promises', 1, [{ takes: [1, 1], async: true }, takes(1)])),
      plan(semaphore('promises for one and two', 2, [{ takes: [2, 1], async: true }, takes(1)])),
      plan(semaphore('a promise gives up', 1, [{ takes: [1, 1], async: true, timed: true }, takes(1)], late)),
      plan(rwlock('a promise to read', [['async: read'], ['write']])),
      plan(rwlock('a promise to write', [['read'], ['async: write']])),
      plan(rwlock('promises of both', [['async: both'], ['write']])),
      plan(rwlock('a promise to read gives up', [['async: read, or late'], ['write']], late)),
      plan(condition('a promise', [['async: wait'], ['notify']])),
      plan(condition('two promises', [['async: two wait'], ['notify', 'notify']]), 1, 3),
      plan(condition('a promise, and one who blocks', [['async: wait'], ['wait'], ['notify']]), 0, 2),
      plan(condition('a promise that is late', [['async: wait, or late'], ['notify']], late)),
      plan(event('promises', [['async: two wait'], ['set and clear']])),
      plan(latch('promises', [['async: two wait'], ['count down']])),
      plan(barrier('a promise', [['wait by a promise'], ['wait']])),
      plan(barrier('a promise gives up', [['wait by a promise, or late'], ['wait']], late)),
      plan(deadlock('two mutexes', [inOrder('mutex A', 'mutex B'), inOrder('mutex B', 'mutex A')])),
      plan(deadlock('none', [inOrder('mutex A', 'mutex B'), inOrder('mutex A', 'mutex B')])),
      plan(deadlock('a mutex and an rlock', [inOrder('mutex A', 'rlock'), inOrder('rlock', 'mutex A')])),
      plan(
        deadlock('a reader and a writer', [
          ['read rwlock', 'lock mutex A', 'unlock mutex A', 'read, done: rwlock'],
          ['lock mutex A', 'write rwlock', 'write, done: rwlock', 'unlock mutex A'],
        ]),
        3,
      ),
      plan(
        deadlock('none, as a reader enters', [
          ['write rwlock', 'write, done: rwlock', 'write rwlock', 'write, done: rwlock'],
          ['read rwlock', 'read, done: rwlock'],
        ]),
        3,
      ),
      plan(
        deadlock(
          'none, as one has a deadline',
          [
            ['lock mutex A', 'lock, or late: mutex B', 'unlock mutex B', 'unlock mutex A'],
            inOrder('mutex B', 'mutex A'),
          ],
          late,
        ),
        3,
      ),
      plan(
        deadlock('three mutexes', [
          inOrder('mutex A', 'mutex B'),
          inOrder('mutex B', 'mutex C'),
          inOrder('mutex C', 'mutex A'),
        ]),
        0,
        2,
      ),
      plan(
        deadlock('two, and one who waits for them', [
          inOrder('mutex A', 'mutex B'),
          inOrder('mutex B', 'mutex A'),
          ['lock mutex A', 'unlock mutex A'],
        ]),
        0,
        2,
      ),
      ...(['i32', 'i64', 'f64'] as const).map((type) => plan(valueScenario(`value: ${type}`, type, [1, 1, 1]))),
    ],
    deaths: [
      plan(semaphore('death of one of two', 1, [takes(1), takes(1)], once)),
      plan(semaphore('death of one who may want both', 2, [takes(2), takes(1)], once)),
      plan(semaphore('death as the time is up', 1, [{ takes: [1], timed: true }, takes(1)], { ...once, ...late })),
      plan(semaphore('death of one of three', 1, [takes(1), takes(1), takes(1)], once), 1, 2),
      plan(rwlock('death of a reader or a writer', [['read'], ['write']], once), 2),
      plan(rwlock('death of one of two writers', [['write'], ['write']], once)),
      plan(rwlock('death as the time is up', [['read, or late'], ['write']], { ...once, ...late }), 1, 2),
      plan(rwlock('death among three', [['read'], ['write'], ['write']], once), 0, 1),
      plan(condition('death of one of two', [['wait'], ['notify']], once)),
      plan(condition('death among three', [['wait'], ['wait'], ['notify']], once), 0, 1),
      plan(event('death of one of two', [['wait'], ['set and clear']], once)),
      plan(event('death among three', [['wait'], ['wait'], ['set']], once), 1, 2),
      plan(latch('death of one of two', [['wait'], ['count down']], once)),
      plan(latch('death among three', [['wait'], ['count down'], ['count down']], once)),
      plan(barrier('death of one of two', [['wait'], ['wait']], once)),
      plan(barrier('death of one of three', [['wait'], ['wait'], ['wait']], once), 0, 2),
    ],
    crowds: [
      semaphore('six', 3, [takes(2, 1), takes(1, 1), takes(3), takes(1), { takes: [2], timed: true }, takes(2)], late),
      semaphore('six, one of whom dies', 2, [takes(2, 1), takes(1, 1), takes(2), takes(1), takes(1), takes(2)], once),
      rwlock(
        'six',
        [['read', 'write'], ['write', 'read'], ['read'], ['read, or late'], ['write'], ['read again']],
        late,
      ),
      rwlock(
        'six, one of whom dies',
        [['read', 'write'], ['write', 'read'], ['read'], ['read'], ['write'], ['read']],
        once,
      ),
      condition('six', [['wait'], ['wait'], ['wait, or late'], ['notify', 'notify'], ['notify all'], ['wait']], late),
      condition('six, one of whom dies', [['wait'], ['wait'], ['wait'], ['notify'], ['notify'], ['notify all']], once),
      barrier('six', [['wait'], ['wait'], ['wait'], ['wait'], ['wait, or late'], ['wait']], late),
      barrier('six, one of whom dies', [['wait'], ['wait'], ['wait'], ['wait'], ['wait'], ['wait']], once),
    ],
  };
}
