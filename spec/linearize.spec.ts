import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CLOSED, type Operation, OWNER_DIED, REFUSED, type Verb } from './kit/history/lane.ts';
import { linearize, type Model, tell } from './kit/history/linearize.ts';
import { mutexModel, queueModel, rwlockModel, semaphoreModel } from './kit/history/models.ts';
import { RECORDERS } from './kit/history/record.ts';
import { explains, invent } from './kit/history/reference.ts';
import { TAMPERS, tampered } from './kit/history/tamper.ts';

type Line = readonly [
  lane: number,
  call: number,
  end: number,
  verb: Verb,
  argument: number,
  outcome?: number | undefined,
];
const NEVER = Number.POSITIVE_INFINITY;

function history(...lines: readonly Line[]): Operation[] {
  return lines.map(([lane, call, end, verb, argument, outcome]) => ({
    lane,
    verb,
    argument,
    outcome: end === NEVER ? undefined : (outcome ?? 0),
    call,
    return: end,
  }));
}

function refuses(model: Model, ...lines: readonly Line[]): string {
  const { refusal } = linearize(model, history(...lines));
  assert.ok(refusal, 'it is refused');
  return tell(refusal);
}

function accepts(model: Model, ...lines: readonly Line[]): void {
  const { refusal } = linearize(model, history(...lines));
  assert.is(refusal && tell(refusal), undefined);
}

const two = queueModel(2);

test('a queue gives its items in their order, and of two puts at the same time either first', () => {
  accepts(two, [0, 0, 1, 'put', 5], [0, 1, 2, 'put', 6], [1, 2, 3, 'get', 0, 5], [1, 3, 4, 'get', 0, 6]);
  accepts(two, [0, 0, 2, 'put', 5], [1, 0, 1, 'put', 6], [2, 2, 3, 'get', 0, 6]);
  accepts(two, [0, 0, 2, 'put', 5], [1, 0, 1, 'put', 6], [2, 2, 3, 'get', 0, 5]);
  refuses(two, [0, 0, 1, 'put', 5], [0, 1, 2, 'put', 6], [1, 2, 3, 'get', 0, 6]);
});

test('a refusal is told by the shortest window that begins with a certain state', () => {
  const told = refuses(
    two,
    ...[[0, 0, 1, 'put', 1] as const, [1, 1, 2, 'get', 0, 1] as const, [0, 2, 3, 'put', 5] as const],
    ...[[0, 3, 5, 'put', 6] as const, [1, 4, 6, 'get', 0, 7] as const, [1, 6, 7, 'get', 0, 5] as const],
  );
  assert.is(
    told,
    [
      'not linearizable; the state was certainly "5 6", and then:',
      '  lane 1  4-6  get 0 -> 7  no order explains this',
    ].join('\n'),
  );
});

test('a window goes back to where nothing was ambiguous, and says what had taken effect there', () => {
  const told = refuses(
    two,
    [2, 0, 9, 'get', 0, 7],
    ...[[0, 0, 1, 'put', 7] as const, [0, 1, 4, 'put', 5] as const, [1, 2, 3, 'put', 6] as const],
    [3, 4, 5, 'get', 0, 8],
  );
  assert.match(told, /^not linearizable; the state was certainly "7", and then:\n/);
  assert.match(told, /lane 2 {2}0-9 {2}get 0 -> 7\n/);
  assert.not.match(told, /lane 0 {2}0-1/);
  assert.match(told, /lane 3 {2}4-5 {2}get 0 -> 8 {2}no order explains this/);
});

test('a queue has no more items than its capacity, and none twice, none before it was put, none after it is closed', () => {
  refuses(two, [0, 0, 1, 'put', 1], [0, 1, 2, 'put', 2], [1, 2, 3, 'put', 3]);
  refuses(two, [0, 0, 1, 'put', 1], [1, 1, 2, 'get', 0, 1], [1, 2, 3, 'get', 0, 1]);
  refuses(two, [1, 0, 1, 'get', 0, 4], [0, 1, 2, 'put', 4]);
  refuses(two, [0, 0, 1, 'close', 0], [0, 1, 2, 'put', 4]);
  refuses(two, [0, 0, 1, 'put', 4], [0, 1, 2, 'close', 0], [1, 2, 3, 'get', 0, CLOSED]);
  accepts(
    two,
    [0, 0, 1, 'put', 4],
    [0, 1, 2, 'close', 0],
    [1, 2, 3, 'get', 0, 4],
    [1, 3, 4, 'get', 0, CLOSED],
    [0, 2, 3, 'put', 5, CLOSED],
  );
});

test('empty may be said while the put of the oldest item has not returned, and full only when it is', () => {
  refuses(two, [0, 0, 1, 'put', 1], [1, 1, 2, 'tryGet', 0, REFUSED]);
  accepts(two, [2, 0, 5, 'put', 7], [0, 1, 2, 'put', 1], [1, 3, 4, 'tryGet', 0, REFUSED]);
  // 1 had been put before 7 was: nothing hides it
  refuses(two, [0, 0, 1, 'put', 1], [2, 1, 5, 'put', 7], [1, 3, 4, 'tryGet', 0, REFUSED]);
  refuses(two, [0, 0, 1, 'put', 1], [0, 1, 2, 'tryPut', 2, REFUSED]);
  accepts(two, [0, 0, 1, 'put', 1], [1, 1, 5, 'put', 2], [0, 2, 3, 'tryPut', 3, REFUSED]);
});

test('a put that returns was the excuse of a get that had failed by then, also when it had taken effect long before', () => {
  const untilFull: Line[] = [
    [1, 0, 1, 'put', 5],
    [0, 0, 4, 'put', 6],
    [2, 1, 2, 'tryPut', 7, REFUSED],
  ];
  accepts(two, ...untilFull, [1, 3, 5, 'get', 0, 5], [2, 3, 6, 'tryGet', 0, REFUSED]);
  refuses(two, ...untilFull, [1, 4, 5, 'get', 0, 5], [2, 3, 6, 'tryGet', 0, REFUSED]);
});

test('the items of one call are put one after another', () => {
  accepts(two, [0, 0, 3, 'put', 1], [0, 0, 3, 'put', 2], [1, 1, 2, 'get', 0, 1], [1, 3, 4, 'get', 0, 2]);
  refuses(two, [0, 0, 3, 'put', 1], [0, 0, 3, 'put', 2], [1, 1, 2, 'get', 0, 2]);
});

test('a put or get that was cut short by a death has taken effect or not, and not later', () => {
  const death: Line = [3, 1, 2, 'death', 0];
  accepts(two, [0, 0, NEVER, 'put', 1], death, [1, 2, 3, 'get', 0, 1]);
  accepts(two, [0, 0, NEVER, 'put', 1], death, [1, 2, 3, 'tryGet', 0, REFUSED]);
  refuses(
    two,
    [0, 0, NEVER, 'put', 1],
    death,
    [1, 2, 3, 'put', 2],
    [1, 3, 4, 'get', 0, 2],
    [1, 4, 5, 'tryGet', 0, REFUSED],
    [1, 5, 6, 'get', 0, 1],
  );
  accepts(two, [1, 0, 1, 'put', 1], [0, 0, NEVER, 'get', 0], death, [1, 2, 3, 'tryGet', 0, REFUSED]);
  refuses(
    two,
    [1, 0, 1, 'put', 1],
    [1, 1, 2, 'put', 2],
    [0, 0, NEVER, 'get', 0],
    [3, 2, 3, 'death', 0],
    [1, 3, 4, 'tryGet', 0, REFUSED],
  );
});

test('the place of an item that was claimed and never published is taken until a consumer has passed it', () => {
  const claimed: Line[] = [
    [0, 0, NEVER, 'put', 1],
    [1, 1, 2, 'put', 2],
    [3, 2, 3, 'death', 0],
  ];
  accepts(two, ...claimed, [1, 3, 4, 'tryPut', 3, REFUSED], [1, 4, 5, 'get', 0, 2]);
  refuses(
    two,
    ...claimed,
    ...[[1, 3, 4, 'get', 0, 2] as const, [1, 4, 5, 'put', 3] as const, [1, 5, 6, 'get', 0, 3] as const],
    [1, 6, 7, 'get', 0, 1],
  );
});

test('a mutex lets one in, who sees what the last one wrote', () => {
  const [lock, unlock] = ['lock', 'unlock'] as const;
  accepts(mutexModel, [0, 0, 1, lock, 0, 0], [1, 0, 4, lock, 0, 1], [0, 2, 3, unlock, 0]);
  refuses(mutexModel, [0, 0, 1, lock, 0, 0], [1, 0, 2, lock, 0, 0], [0, 2, 3, unlock, 0]);
  refuses(mutexModel, [0, 0, 1, lock, 0, 0], [0, 1, 2, unlock, 0], [1, 2, 3, lock, 0, 0]);
  refuses(mutexModel, [0, 0, 1, lock, 0, 0], [1, 1, 2, unlock, 0]);
  refuses(mutexModel, [0, 0, 1, 'tryLock', 0, REFUSED]);
  // two that fail may not excuse each other
  refuses(mutexModel, [0, 0, 2, 'tryLock', 0, REFUSED], [1, 0, 3, 'tryLock', 0, REFUSED]);
});

test('the lock of a dead owner can only be recovered, and its last write may be there or not', () => {
  const killed: Line[] = [
    [0, 0, 1, 'lock', 0, 0],
    [0, 2, NEVER, 'unlock', 0],
    [3, 3, 4, 'death', 0],
  ];
  accepts(mutexModel, ...killed, [1, 4, 5, 'lock', 0, 1]);
  for (const count of [0, 1]) {
    accepts(mutexModel, ...killed, [1, 4, 5, 'lock', 0, OWNER_DIED], [1, 5, 7, 'recover', 0, count]);
  }
  refuses(mutexModel, ...killed, [1, 4, 5, 'lock', 0, OWNER_DIED], [1, 5, 7, 'recover', 0, 2]);
  refuses(mutexModel, ...killed, [1, 4, 5, 'lock', 0, OWNER_DIED], [2, 5, 7, 'lock', 0, 1]);
  refuses(mutexModel, [1, 0, 1, 'lock', 0, OWNER_DIED]);
});

test('a semaphore gives no more than it has, and says no only when there are not enough or somebody waits', () => {
  const model = semaphoreModel(2);
  accepts(model, [0, 0, 1, 'acquire', 2], [1, 1, 4, 'acquire', 1], [0, 2, 3, 'release', 1]);
  refuses(model, [0, 0, 1, 'acquire', 2], [1, 1, 2, 'acquire', 1], [0, 2, 3, 'release', 1]);
  refuses(model, [0, 0, 1, 'acquire', 1], [1, 1, 2, 'tryAcquire', 1, REFUSED]);
  accepts(model, [0, 0, 1, 'acquire', 1], [1, 1, 2, 'tryAcquire', 2, REFUSED]);
  accepts(
    model,
    [0, 0, 1, 'acquire', 1],
    [2, 0, 9, 'acquire', 2],
    [1, 1, 2, 'tryAcquire', 1, REFUSED],
    [0, 2, 3, 'release', 1],
  );
});

test('an rwlock lets many read or one write, and readers see the last version', () => {
  accepts(rwlockModel, [0, 0, 1, 'read', 0, 0], [1, 0, 2, 'read', 0, 0], [1, 2, 3, 'unlockRead', 0]);
  refuses(rwlockModel, [0, 0, 1, 'read', 0, 0], [1, 1, 2, 'write', 0, 0], [0, 2, 3, 'unlockRead', 0]);
  refuses(rwlockModel, [0, 0, 1, 'write', 0, 0], [1, 1, 2, 'read', 0, 0], [0, 2, 3, 'unlockWrite', 0]);
  refuses(rwlockModel, [0, 0, 1, 'write', 0, 0], [0, 1, 2, 'unlockWrite', 0], [1, 2, 3, 'read', 0, 0]);
  refuses(rwlockModel, [0, 0, 1, 'read', 0, 0], [1, 1, 2, 'tryRead', 0, REFUSED]);
});

const [MUTEX, RWLOCK]: [Verb[][], Verb[][]] = [
  [['lock', 'unlock'], ['lock', 'unlock'], ['tryLock'], ['recover', 'settle']],
  [['read', 'unlockRead'], ['write', 'unlockWrite'], ['tryRead', 'unlockRead'], ['tryWrite']],
];
const models: Record<string, readonly [Model, Verb[][]]> = {
  mutex: [mutexModel, MUTEX],
  queue: [two, [['put'], ['tryPut'], ['get'], ['tryGet'], ['close']]],
  semaphore: [semaphoreModel(2), [['acquire'], ['tryAcquire'], ['release']]],
  rwlock: [rwlockModel, RWLOCK],
};

for (const [name, [model, programs]] of Object.entries(models)) {
  test(`${name}: small histories are judged as by the search that tries every order and remembers nothing`, () => {
    const verdicts = { accepted: 0, refused: 0 };
    for (let seed = 1; seed <= 3000; seed++) {
      const invented = invent(model, programs, seed);
      const { refusal } = linearize(model, invented);
      verdicts[refusal ? 'refused' : 'accepted']++;
      assert.is(refusal === undefined, explains(model, invented), `seed ${seed}: ${JSON.stringify(invented)}`);
    }
    assert.ok(Math.min(...Object.values(verdicts)) > 300, JSON.stringify(verdicts));
  });
}

const SEEDS = 10;
for (const [name, tampers] of Object.entries(TAMPERS)) {
  test(`${name}: recordings that were tampered with are refused, wherever that was`, async () => {
    const [recorded] = await (RECORDERS[name] as (typeof RECORDERS)[string])(4000, 1);
    assert.ok(recorded);
    const { model, operations } = recorded;
    const { refusal } = linearize(model, operations);
    assert.is(refusal && tell(refusal), undefined, 'the recording itself');
    for (const [how, tamper] of Object.entries(tampers)) {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const verdict = linearize(model, tampered(tamper, operations, seed));
        assert.ok(verdict.refusal, `${how}, seed ${seed}`);
      }
    }
  });
}

test.run();
