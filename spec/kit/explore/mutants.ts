/** The changes that the explorer must notice, and those that nobody can notice. */
import type * as supervisor from '../../../lib/memory/supervisor.ts';
import { at, changed, type Mutant } from './mutate.ts';
import type { Protocol } from './programs.ts';
import { equivalentSyncMutants, syncMutants, syncProtocols } from './sync-mutants.ts';

const lock = at('lock');
const ring = at('ring');
const records = at('records');
const pieces = at('pieces');
const waiters = at('waiters');
const blocks = at('blocks');

export const mutants: readonly Mutant[] = [
  lock('lock by load and store', 'three that only try', [
    'export function lock(',
    'atomic.cmpxchg<i32>(m, held & STAMP, held, MUTEX_WORD) === (held & STAMP)',
    '(atomic.load<i32>(m, MUTEX_WORD) === (held & STAMP) && (atomic.store<i32>(m, held, MUTEX_WORD), true))',
  ]),
  lock('unlock stores without looking for waiters', 'two threads', [
    'export function unlock(',
    'atomic.cmpxchg<i32>(m, held, held & STAMP, MUTEX_WORD) === held',
    '(atomic.store<i32>(m, held & STAMP, MUTEX_WORD), true)',
  ]),
  lock('a waiter does not say CONTENDED before it sleeps', 'two threads', [
    'if ((seen & CONTENDED) !== 0) return BUSY;',
    'atomic.cmpxchg<i32>(m, seen, seen | CONTENDED, MUTEX_WORD) === seen',
    'true',
  ]),
  lock('HANDED is not cleared', 'handed over', [
    '} else if ((seen & ~CONTENDED) === (held | HANDED)) {',
    'seen & ~HANDED',
    'seen',
  ]),
  lock('a lock handed to nobody is not taken back', 'handed over as the time is up', [
    'function release(',
    'atomic.cmpxchg<i32>(m, handed, free, MUTEX_WORD) === handed ? WAKE : HAND + starving - 1',
    'HAND + starving - 1',
  ]),
  lock('the waiter is taken out of the set before the lock is handed to it', 'handed over as the time is up', [
    'function release(',
    'atomic.store<i32>(m, handed, MUTEX_WORD);\n    if (unregister(m + MUTEX_WAITERS, starving - 1)) return HAND + starving - 1;',
    'if (unregister(m + MUTEX_WAITERS, starving - 1)) { atomic.store<i32>(m, handed, MUTEX_WORD); return HAND + starving - 1; } atomic.store<i32>(m, free, MUTEX_WORD); return WAKE;',
  ]),
  lock('a lock is handed over without CONTENDED', 'one of two gives up', [
    'function release(',
    'free | starving | HANDED | CONTENDED',
    'free | starving | HANDED',
  ]),
  lock('unlock by a plain store', 'two threads', [
    'By: this store. Seen after: the compare-exchange in lock().',
    'atomic.store<i32>(m, free, MUTEX_WORD);',
    'store<i32>(m, free, MUTEX_WORD);',
  ]),
  lock('who gives up leaves a lock that was handed to it', 'handed over as the time is up', [
    'export function lockAbandon',
    '(seen & ~CONTENDED) === (held | HANDED)',
    'false',
  ]),
  lock('who gives up does not pass on the wake for a free lock', 'one of three gives up', [
    'export function lockAbandon',
    'if (seen === (held & STAMP)) return WAKE;',
    'if (seen === (held & STAMP)) return DONE;',
  ]),
  lock('who gives up does not restore CONTENDED', 'one of three gives up', [
    'export function lockAbandon',
    'if (atomic.cmpxchg<i32>(m, seen, seen | CONTENDED, MUTEX_WORD) === seen) return DONE;',
    'return DONE;',
  ]),
  lock('who has the lock stays as the one that starves', 'handed over', [
    'function settled(',
    'atomic.cmpxchg<i32>(m, held & OWNER, 0, MUTEX_STARVING);',
    'return DONE;',
  ]),

  waiters('parking forgets a wake that is pending', 'two threads', [
    'export function parkBegin',
    'atomic.cmpxchg<i32>(record, EMPTY, PARKED, THREAD_PARK)',
    '(atomic.store<i32>(record, PARKED, THREAD_PARK), EMPTY)',
  ]),
  waiters('a wake is left only for who is parked already', 'two threads', [
    'export function unpark',
    'atomic.xchg<i32>(record, NOTIFIED, THREAD_PARK) === PARKED',
    '(atomic.load<i32>(record, THREAD_PARK) === PARKED && atomic.xchg<i32>(record, NOTIFIED, THREAD_PARK) === PARKED)',
  ]),
  waiters('two may take the same waiter', 'are taken by two', [
    'export function takeWaiter',
    '(atomic.and<i64>(at, ~bit) & bit) !== 0',
    '(atomic.and<i64>(at, ~bit), true)',
  ]),
  waiters('registering overwrites the other bits', 'are taken by two', [
    'export function register(',
    'atomic.or<i64>(wordOf(set, slot), bitOf(slot));',
    'atomic.store<i64>(wordOf(set, slot), atomic.load<i64>(wordOf(set, slot)) | bitOf(slot));',
  ]),
  waiters('unregistering overwrites the other bits', 'two consumers sleep', [
    'export function unregister(',
    'return (atomic.and<i64>(wordOf(set, slot), ~bit) & bit) !== 0;',
    'const bits = atomic.load<i64>(wordOf(set, slot)); atomic.store<i64>(wordOf(set, slot), bits & ~bit); return (bits & bit) !== 0;',
  ]),

  ring('the room is not looked at', 'two producers', ['export function ringPut(', 'if (free === 0) return BUSY;', '']),
  ring('a position is claimed without comparing', 'two producers', [
    'export function ringPut(',
    'atomic.cmpxchg<i64>(slot, word, wordOf(t | 1, payload)) === word',
    '(atomic.store<i64>(slot, wordOf(t | 1, payload)), true)',
  ]),
  ring('a fast put does not look at the remembered head', 'two producers', [
    'export function ringPut(',
    '<u32>(t - load<i32>(q, QUEUE_HEAD_SEEN)) < <u32>load<i32>(q, QUEUE_LIMIT)',
    'true',
  ]),
  ring('a fast put takes a slot of any other lap for free', 'hints of a lap ago', [
    'export function ringPut(',
    'stampOf(word) - t < 0 || word === 0',
    'stampOf(word) !== (t | 1)',
  ]),
  ring('a put does not see that the queue is closed', 'ring: close', [
    'export function ringPut(',
    'if (seek(q) === CLOSED) return CLOSED;',
    'seek(q);',
  ]),
  ring('the tail is noted before the claim', 'death of one of two producers', [
    'export function ringPut(',
    'atomic.cmpxchg<i64>(slotAt(q, t), found, wordOf(t | 1, payload)) !== found',
    '(store<i32>(q, t + 2, QUEUE_TAIL), atomic.cmpxchg<i64>(slotAt(q, t), found, wordOf(t | 1, payload)) !== found)',
  ]),
  ring('the tail is noted one position ahead', 'two producers', [
    'export function ringPut(',
    'store<i32>(q, t + 2, QUEUE_TAIL);',
    'store<i32>(q, t + 4, QUEUE_TAIL);',
  ]),
  ring('a seeker takes a slot of a later lap for free', 'hints of a lap ago', [
    'function seek(',
    'ahead > 1 && word !== 0',
    'false',
  ]),
  ring('a seeker goes on inside of a claim', 'batches', ['function seek(', '(mark >> CLAIM_SHIFT) << 1', '2']),
  ring('the head is moved without comparing', 'two consumers', [
    'export function ringGet(',
    'atomic.cmpxchg<i32>(q, head, head + 2, QUEUE_HEAD) !== head',
    '(atomic.store<i32>(q, head + 2, QUEUE_HEAD), false)',
  ]),
  ring('many are taken without comparing the head', 'two take many', [
    'export function ringGetMany(',
    'atomic.cmpxchg<i32>(q, head, head + (n << 1), QUEUE_HEAD) === head',
    '(atomic.store<i32>(q, head + (n << 1), QUEUE_HEAD), true)',
  ]),
  ring(
    'a wide item is published before its bytes',
    'ring: wide',
    ['export function ringPutWide(', 'store<i64>(numberAt(q, end), load<i64>(me, THREAD_MAIL));', ''],
    [
      'export function ringPutWide(',
      'publishRun(q, end, 1);',
      'publishRun(q, end, 1); store<i64>(numberAt(q, end), load<i64>(me, THREAD_MAIL));',
    ],
  ),
  ring('a wide item is read after the head has moved', 'ring: wide', [
    'export function ringGet(',
    'store<i64>(me, payload, THREAD_MAIL);',
    'store<i64>(me, isInWord ? payload : numberOf(q, head), THREAD_MAIL);',
  ]),
  ring(
    'a run is published before its numbers',
    'batches',
    ['export function ringPutMany(', 'copyNumbers(q, end, n, me + THREAD_BATCH, true);', ''],
    [
      'export function ringPutMany(',
      'publishRun(q, end, n);',
      'publishRun(q, end, n); copyNumbers(q, end, n, me + THREAD_BATCH, true);',
    ],
  ),
  ring('a run does not say in each slot what is left of it', 'batch and single', [
    'function publishRun(',
    'i > 0',
    'i > 1',
  ]),
  ring('a run is taken for longer than what is left of it', 'a part of a run', [
    'function publishRun(',
    '(n - i) << CLAIM_SHIFT',
    'n << CLAIM_SHIFT',
  ]),
  ring('a run is copied past the end of the ring', 'a part of a run', [
    'function copyNumbers(',
    'min(n, mask + 1 - ((<u32>t >> 1) & mask))',
    'n',
  ]),
  ring('a claim is taken for a run', 'batches', ['function leftOf(', '(mark & OWNER) === 0', 'true']),
  records('records are published by a plain store', 'ring: records', [
    'all records and words of the claim',
    'atomic.store<i64>(slot, wordOf(position | 1, 0))',
    'store<i64>(slot, wordOf(position | 1, 0))',
  ]),
  records('records are taken without comparing the head', 'ring: records', [
    'export function recordsGet(',
    'atomic.cmpxchg<i32>(q, head, head + (n << 1), QUEUE_HEAD) === head',
    '(atomic.store<i32>(q, head + (n << 1), QUEUE_HEAD), true)',
  ]),
  ring('a run is published by a plain store', 'batches', [
    'all numbers and words of the claim',
    'atomic.store<i64>(slotAt(q, t), wordOf(t, n << CLAIM_SHIFT))',
    'store<i64>(slotAt(q, t), wordOf(t, n << CLAIM_SHIFT))',
  ]),
  ring('a batch takes more than there is room for', 'batches', [
    'export function claim(',
    'min(count, free >> 1)',
    'count',
  ]),
  ring('closing overwrites what was put meanwhile', 'ring: close', [
    'export function ringClose(',
    'atomic.cmpxchg<i64>(slotAt(q, end), found, wordOf(end, CLOSED_MARK)) === found',
    '(atomic.store<i64>(slotAt(q, end), wordOf(end, CLOSED_MARK)), true)',
  ]),
  ring('a consumer that was overtaken takes the ring for empty', 'never empty', [
    'function notPublished(',
    'atomic.load<i32>(q, QUEUE_HEAD) === head ? BUSY : DONE',
    'BUSY',
  ]),
  ring('nobody is said to wait', 'two producers sleep', ['function said(', 'waiting(set) ? WAKE : DONE', 'DONE']),
  ring('a block does not say at which position it was sent', 'ring: blocks', [
    'export function ringPutBlock(',
    'store<i32>(block, t | 1, BLOCK_STATE);',
    '',
  ]),
  ring('a block is taken without comparing', 'ring: blocks', [
    'export function ringGetBlock(',
    'atomic.cmpxchg<i32>(<usize>block, head | 1, owner << 1, BLOCK_STATE) === (head | 1)',
    '(atomic.store<i32>(<usize>block, owner << 1, BLOCK_STATE), true)',
  ]),
  ring('the head is left to who took the block', 'death with a block', [
    'export function ringGetBlock(',
    'atomic.cmpxchg<i32>(q, head, head + 2, QUEUE_HEAD);',
    'if (mine) atomic.cmpxchg<i32>(q, head, head + 2, QUEUE_HEAD);',
  ]),
  ring('items are counted as finished without comparing', 'two workers', [
    'export function ringFinish(',
    'atomic.cmpxchg<i32>(q, finished, finished + (n << 1), QUEUE_FINISHED) !== finished',
    '(atomic.store<i32>(q, finished + (n << 1), QUEUE_FINISHED), false)',
  ]),

  blocks('a block is claimed without comparing', 'blocks, two producers', [
    'export function blockClaim',
    'atomic.cmpxchg<i32>(block, BLOCK_FREE, owner << 1, BLOCK_STATE) === BLOCK_FREE',
    '(atomic.store<i32>(block, owner << 1, BLOCK_STATE), true)',
  ]),

  blocks('a reservation that waits is not told of a block', 'blocks, reserved', [
    'export function blockGive',
    'waiting(q + QUEUE_RESERVERS)',
    'false',
  ]),
  blocks('who waits for a block is looked for before it is free', 'blocks, reserved', [
    'export function blockGive',
    'blockFree(block);\n  return (waiting(q + QUEUE_PUTTERS) ? PUTTERS_WAIT : 0) | (waiting(q + QUEUE_RESERVERS) ? RESERVERS_WAIT : 0);',
    'const who = (waiting(q + QUEUE_PUTTERS) ? PUTTERS_WAIT : 0) | (waiting(q + QUEUE_RESERVERS) ? RESERVERS_WAIT : 0); blockFree(block); return who;',
  ]),

  pieces('a piece is claimed again without comparing', 'claimed again', [
    'export function pieceClaimAt',
    'atomic.cmpxchg<i64>(tag(unit), seen, word(HELD + slot, <i32>seen)) !== seen',
    '(atomic.store<i64>(tag(unit), word(HELD + slot, <i32>seen)), false)',
  ]),
  pieces('a piece is claimed again that others have', 'claimed again', [
    'export function pieceClaimAt',
    'stateOf(seen) !== FREE',
    'false',
  ]),
  pieces('a piece is claimed without comparing', 'claim and free', [
    'reachable(unit, <i32>seen, least, all)) {',
    'atomic.cmpxchg<i64>(tag(unit), seen, word(HELD + slot, <i32>seen)) !== seen',
    '(atomic.store<i64>(tag(unit), word(HELD + slot, <i32>seen)), false)',
  ]),
  pieces('the piece behind is taken without comparing', 'claim and free', [
    'function lengthen(',
    'atomic.cmpxchg<i64>(behind, next, word(HELD + slot, <i32>next)) !== next',
    '(atomic.store<i64>(behind, word(HELD + slot, <i32>next)), false)',
  ]),
  pieces('the tag behind is cleared before the piece is lengthened', 'claim and free', [
    'function lengthen(',
    'atomic.store<i64>(tag(unit), word(HELD + slot, have));\n    atomic.store<i64>(behind, 0);',
    'atomic.store<i64>(behind, 0); atomic.store<i64>(tag(unit), word(HELD + slot, have));',
  ]),
  pieces('a piece is shortened before the rest has a tag', 'claim and free', [
    'function cut(',
    'atomic.store<i64>(rest, word(HELD + slot, have - units));',
    'atomic.store<i64>(tag(unit), word(HELD + slot, units)); atomic.store<i64>(rest, word(HELD + slot, have - units));',
  ]),
  pieces('a walk that was overtaken does not start again', 'claim and free', [
    'function claim(',
    'state === INTERIOR',
    'false',
  ]),
  pieces('a piece that is too short is not given back', 'two that keep', [
    'function claim(',
    'atomic.store<i64>(tag(unit), word(FREE, have));',
    '',
  ]),
  pieces('what was in use is not zeroed', 'zeroed', ['function use(', 'zeroed && unit < high', 'false']),
  pieces('a producer does not say that it wants space', 'wait for space', [
    'export function spaceWant(',
    'atomic.store<i32>(0, 1, REGION_WANTED);',
    '',
  ]),

  ...syncMutants,
];

/** Changes that alter nothing that anybody could see, and why. */
export const equivalents: readonly (Mutant & { readonly reason: string })[] = [
  {
    ...lock('a waiter that gets the lock does not restore CONTENDED', 'three threads', [
      'export function lockContended',
      'held | CONTENDED',
      'held',
    ]),
    reason: 'it leaves the wait set then, and lockAbandon() makes sure of CONTENDED while others are in it',
  },
  {
    ...ring('a put goes on at a position that the head has passed', 'two producers', [
      'export function ringPut(',
      'if (free < 0) continue;',
      '',
    ]),
    reason: 'the head passes a slot only after it was published, so its word is another and the compare-exchange fails',
  },
  {
    ...waiters('parking does not look whether a wake is pending', 'two threads', [
      'export function parkBegin',
      'if (seen !== NOTIFIED) return true;',
      'return true;',
    ]),
    reason: 'the word is not PARKED then, so that the sleep returns at once; parkEnd() takes the wake away',
  },
  ...equivalentSyncMutants,
];

/** Changes of what lib/memory/wait.ts does, and of the repair. */
export const protocols: readonly { readonly name: string; readonly by: string; readonly protocol: Protocol }[] = [
  { name: 'no look after registering', by: 'a producer and a consumer sleep', protocol: { lookFirst: true } },
  { name: 'the wake before the put', by: 'a producer and a consumer sleep', protocol: { wakeFirst: true } },
  { name: 'a wake is not passed on', by: 'two consumers sleep', protocol: { noPassOn: true } },
  {
    name: 'a wake is not passed on when promises are withdrawn',
    by: 'a join with a promise',
    protocol: { keepsWithdrawn: true },
  },
  { name: 'promises stay withdrawn', by: 'while its thread blocks', protocol: { noRejoin: true } },
  { name: 'the futex is not touched', by: 'two threads', protocol: { noNotify: true } },
  { name: 'who leaves stays in the set', by: 'two threads', protocol: { noUnregister: true } },
  { name: 'the repair wakes nobody', by: 'death of a sleeper', protocol: { noRepair: true } },
  { name: 'the repair wakes the wait sets only', by: 'death of one of two', protocol: { repairSets: true } },
  { name: 'the repair trusts the park word', by: 'death of one of two', protocol: { repairParked: true } },
  ...syncProtocols,
  await burial(
    'a burial that was cut off is not done again',
    'deaths: a mutex of two',
    'return slotsOf(ward).filter(',
    'return [].filter(',
  ),
  await burial('a burial ends before it has woken anybody', 'deaths: a mutex of two', 'wakeEverybody(ward);', ''),
  await burial(
    'a burial takes no messages back',
    'deaths: with blocks, two, repaired in turn',
    'count(buryMessages(ward, slot));',
    '',
  ),
];

async function burial(
  name: string,
  by: string,
  from: string,
  to: string,
): Promise<{ name: string; by: string; protocol: Protocol }> {
  const { bury } = await changed<typeof supervisor>('memory/supervisor', from, to);
  return { name, by, protocol: { classes: { bury } } };
}

export const equivalentProtocols: readonly {
  readonly name: string;
  readonly by: string;
  readonly protocol: Protocol;
  readonly reason: string;
}[] = [
  {
    name: 'the park word is not reset after a sleep',
    by: 'two threads',
    protocol: { noParkEnd: true },
    reason: 'NOTIFIED makes the next park return at once, one turn more; PARKED is what the next park would write',
  },
];
