/** The changes of Semaphore, RwLock, Condition, Event, Latch, Barrier and Value that must be noticed. */
import { at, type Mutant } from './mutate.ts';
import type { Protocol } from './programs.ts';

const semaphore = at('semaphore');
const rwlock = at('rwlock');
const lock = at('lock');
const condition = at('condition');
const event = at('event');
const latch = at('latch');
const barrier = at('barrier');
const value = at('value');

export const syncMutants: readonly Mutant[] = [
  semaphore('permits are taken without comparing', 'semaphore: two take one of one', [
    'export function semaphoreAcquire(',
    'atomic.cmpxchg<i64>(s, seen, seen - <i64>n, SEMAPHORE_STATE) === seen',
    '(atomic.store<i64>(s, seen - <i64>n, SEMAPHORE_STATE), true)',
  ]),
  semaphore('permits are given without comparing', 'semaphore: two take one of one', [
    'export function semaphoreRelease(',
    'atomic.cmpxchg<i64>(s, seen, seen + <i64>n, SEMAPHORE_STATE) === seen',
    '(atomic.store<i64>(s, seen + <i64>n, SEMAPHORE_STATE), true)',
  ]),
  semaphore('who gives permits looks at nobody', 'semaphore: two take one of one', [
    'export function semaphoreRelease(',
    '(flags & TURN) !== 0 && (flags & CALLED) === 0 ? WAKE : DONE',
    'DONE',
  ]),
  semaphore('who gives up keeps the turn', 'gives up', [
    'export function semaphoreSettle(',
    'first === left || vacant(s, flags)',
    'vacant(s, flags)',
  ]),
  semaphore('a burial does not give the permits back', 'semaphore: death of one of two', [
    'export function semaphoreBury(',
    'atomic.add<i64>(s, out, SEMAPHORE_STATE);',
    '',
  ]),
  semaphore('a burial gives permits that others have given for the dead', 'semaphore: death of one of two', [
    'export function semaphoreBury(',
    'if (out <= 0) return 0;',
    'out = 1;',
  ]),

  rwlock('a reader does not look again', 'rwlock: a reader and a writer', [
    'atomic.store<i32>(line, held + 1, READ_HELD);',
    'held === 0 && barred(l, line)',
    'false',
  ]),
  rwlock('a writer does not look at the readers', 'rwlock: a reader and a writer', [
    'export function writeEnter(',
    'if (!drained(l)) return BUSY;',
    '',
  ]),
  rwlock('a writer enters though readers were admitted', 'rwlock: a reader and a writer, twice', [
    'export function drained(',
    'atomic.load<i32>(line, READ_TURN) === READ_ADMITTED',
    'false',
  ]),
  rwlock('a writer looks at the reads before the turns', 'rwlock: a reader and a writer, twice', [
    'export function drained(',
    'atomic.load<i32>(line, READ_TURN) === READ_ADMITTED || atomic.load<i32>(line, READ_HELD) !== 0',
    'atomic.load<i32>(line, READ_HELD) !== 0 || atomic.load<i32>(line, READ_TURN) === READ_ADMITTED',
  ]),
  rwlock('the last reader wakes nobody', 'rwlock: a reader and a writer', [
    'export function readUnlock(',
    'held === 1 && atomic.load<i32>(l, RW_STATE) !== RW_OPEN ? WAKE : DONE',
    'DONE',
  ]),
  rwlock('a reader that takes its read back wakes nobody', 'rwlock: a reader and a writer', [
    'export function readLock(',
    'return lineUp(line, WAKE);',
    'return lineUp(line, BUSY);',
  ]),
  rwlock('a read in a read waits for the writer', 'rwlock: a read in a read', [
    'export function readLock(',
    'held === 0 && barred(l, line)',
    'barred(l, line)',
  ]),
  rwlock('a burial leaves the reads', 'rwlock: death of a reader', [
    'export function rwBury(',
    'atomic.store<i32>(line, 0, READ_HELD);',
    '',
  ]),
  rwlock('a burial leaves the bar', 'rwlock: death of a reader', [
    'Publishes: that the bar is lifted.',
    'atomic.store<i32>(l, RW_OPEN, RW_STATE);',
    '',
  ]),
  lock('a gate without a writer is known as that of one who died, for a moment', 'rwlock: death of a reader', [
    'export function lockPardon(',
    'leaveBehind(m, owner, 0);',
    'leaveBehind(m, owner, DEAD); const seen = atomic.load<i32>(m, MUTEX_WORD); if ((seen & OWNER) === DEAD) atomic.cmpxchg<i32>(m, seen, seen & STAMP, MUTEX_WORD);',
  ]),

  condition('a notification is taken and stays', 'condition: one waits twice', [
    'export function conditionTake(',
    'atomic.and<i64>(countsOf(c, slot), WAITERS)',
    'atomic.load<i64>(countsOf(c, slot))',
  ]),
  condition('who is about to register is not notified', 'condition: one waits, one notifies', [
    'export function conditionNotify(',
    'slot >= 0 ? slot : notify(c, false)',
    'slot',
  ]),
  condition('a waiter is notified without comparing', 'condition: two promises', [
    'function turn(',
    'atomic.cmpxchg<i64>(counts, seen, seen + change) === seen',
    '(atomic.store<i64>(counts, seen + change), true)',
  ]),
  condition('who does not wait is notified', 'condition: one is notified twice', [
    'function turn(',
    '(seen & WAITERS) === 0',
    'false',
  ]),
  condition('the notifications of the dead are forgotten', 'condition: death among three', [
    'export function conditionForget(',
    '<i32>(atomic.xchg<i64>(countsOf(c, slot), 0) >>> 32)',
    '(atomic.xchg<i64>(countsOf(c, slot), 0), 0)',
  ]),

  event('a set that was cleared is not seen', 'event: two wait', [
    'export function eventChanges(',
    'atomic.load<i32>(e, EVENT_CHANGES)',
    '(atomic.load<i32>(e, EVENT_CHANGES) & 1)',
  ]),
  event('a set wakes nobody', 'event: two wait', [
    'export function eventChange(',
    'if (atomic.cmpxchg<i32>(e, seen, seen + 1, EVENT_CHANGES) === seen) return WAKE;',
    'if (atomic.cmpxchg<i32>(e, seen, seen + 1, EVENT_CHANGES) === seen) return DONE;',
  ]),
  event('the event is set by a plain store', 'event: two wait', [
    'export function eventChange(',
    'atomic.cmpxchg<i32>(e, seen, seen + 1, EVENT_CHANGES) === seen',
    '(store<i32>(e, seen + 1, EVENT_CHANGES), true)',
  ]),

  latch('it is counted down without comparing', 'latch: three', [
    'export function latchDown(',
    'atomic.cmpxchg<i32>(l, seen, seen - n, LATCH_COUNT) === seen',
    '(atomic.store<i32>(l, seen - n, LATCH_COUNT), true)',
  ]),
  latch('the last count wakes nobody', 'latch: three', [
    'export function latchDown(',
    'seen === n ? WAKE : DONE',
    'DONE',
  ]),

  barrier('a party arrives without comparing', 'barrier: two parties', [
    'export function barrierArrive(',
    'atomic.cmpxchg<i64>(b, seen, next, BARRIER_STATE) === seen',
    '(atomic.store<i64>(b, next, BARRIER_STATE), true)',
  ]),
  barrier('the last party does not begin the next round', 'barrier: two parties', [
    'export function barrierArrive(',
    'arrived === last ? begin(round + 1) : seen + 1',
    'seen + 1',
  ]),
  barrier('it is broken without comparing', 'barrier: one of two gives up', [
    'export function barrierBreak(',
    'atomic.cmpxchg<i64>(b, seen, seen | <i64>BROKEN, BARRIER_STATE) === seen',
    '(atomic.store<i64>(b, seen | <i64>BROKEN, BARRIER_STATE), true)',
  ]),
  barrier('a round that is over is broken, too', 'gives up in the second round', [
    'export function barrierBreak(',
    'if (roundOf(seen) !== round) return OVER;',
    '',
  ]),
  barrier('a reset is not counted', 'barrier: reset', [
    'export function barrierReset(',
    'atomic.add<i32>(b, 1, BARRIER_RESETS);',
    '',
  ]),

  value('a number is added by load and store', 'value: i32', [
    'export function valueAdd(',
    'atomic.add<i32>(v, n, VALUE_WORD)',
    '(atomic.store<i32>(v, atomic.load<i32>(v, VALUE_WORD) + n, VALUE_WORD), n)',
  ]),
  value('a sum is stored without comparing', 'value: f64', [
    'export function valueAddF64(',
    'atomic.cmpxchg<i64>(v, seen, bits(before + n), VALUE_WORD)',
    '(atomic.store<i64>(v, bits(before + n), VALUE_WORD), seen)',
  ]),
];

export const equivalentSyncMutants: readonly (Mutant & { readonly reason: string })[] = [
  {
    ...semaphore('who takes the permits leaves the turn to nobody', 'semaphore: three', [
      'export function semaphoreAttempt(',
      'heir(s, slot)',
      '0',
    ]),
    reason: 'it settles then, and that gives the turn to the next; in between, others may come before it',
  },
  {
    ...semaphore('a waiter that is called needs not be there', 'gives up', [
      'export function semaphoreSettle(',
      'if (unregister(set, first)) return first;',
      'unregister(set, first); return first;',
    ]),
    reason:
      'who leaves the set settles afterwards, and its turn ends there, be it CALLED or not; the wake is one too many',
  },
  {
    ...barrier('a party arrives at a broken barrier', 'barrier: aborted', [
      'export function barrierArrive(',
      'if ((arrived & BROKEN) !== 0) return CLOSED;',
      '',
    ]),
    reason: 'it learns of that at its first look, and BROKEN stays until a reset',
  },
  {
    ...semaphore('who had the turn does not settle', 'semaphore: two are freed at once', [
      'export function semaphoreAttempt(',
      'return myTurn ? WAKE : DONE;',
      'return DONE;',
    ]),
    reason: 'who leaves the set settles, too',
  },
];

/** Calls that what ships makes, and that are left out. */
export const syncProtocols: readonly { readonly name: string; readonly by: string; readonly protocol: Protocol }[] = [
  { name: 'nobody settles', by: 'semaphore: two take one of one', protocol: { dropped: { semaphoreSettle: -1 } } },
  {
    name: 'a reader that gives up stays admitted',
    by: 'rwlock: a reader gives up',
    protocol: { dropped: { readDecline: 0 } },
  },
  { name: 'a writer admits nobody', by: 'rwlock: a reader and a writer', protocol: { dropped: { readAdmit: -1 } } },
  { name: 'a writer does not open', by: 'rwlock: a reader and a writer', protocol: { dropped: { writeOpen: 0 } } },
  { name: 'readers are not barred', by: 'rwlock: a reader and a writer', protocol: { dropped: { writeBar: 0 } } },
  { name: 'a waiter is not counted', by: 'condition: one waits', protocol: { dropped: { conditionEnter: 1 } } },
  {
    name: 'a burial breaks no barrier',
    by: 'barrier: death of one of two',
    protocol: { dropped: { barrierBreak: 0 } },
  },
  {
    name: 'a burial passes by the semaphore',
    by: 'semaphore: death of one of two',
    protocol: { dropped: { semaphoreBury: 0 } },
  },
  { name: 'a burial passes by the rwlock', by: 'rwlock: death of a reader', protocol: { dropped: { rwBury: 1 } } },
];
