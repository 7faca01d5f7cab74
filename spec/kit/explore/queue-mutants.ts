/** The changes of Broadcast, Pipe, redelivery, and of the look for deadlocks that must be noticed. */
import type * as waitgraph from '../../../lib/memory/waitgraph.ts';
import type * as queue from '../../../lib/queue/queue.ts';
import { at, changed, changedUrl, type Mutant } from './mutate.ts';
import type { Protocol } from './programs.ts';
import type { Classes } from './stage.ts';

const broadcast = at('broadcast');
const pipe = at('pipe');
const records = at('records');
const redelivery = at('redelivery');

export const queueMutants: readonly Mutant[] = [
  broadcast('a position is claimed twice', 'broadcast: two publish into', [
    'export function broadcastPublish(',
    'atomic.cmpxchg<i32>(b, tail, tail + 2, BROADCAST_TAIL) !== tail',
    '(atomic.store<i32>(b, tail + 2, BROADCAST_TAIL), false)',
  ]),
  broadcast('a message is published by a plain store', 'broadcast: one publishes, one gets', [
    'Publishes: the message. By: this store. Seen after: the load in subscriptionTake().',
    'atomic.store<i32>(cell, tail | 1, CELL_STAMP);',
    'store<i32>(cell, tail | 1, CELL_STAMP);',
  ]),
  broadcast('a message is published before it is written', 'broadcast: one publishes, one gets', [
    'export function broadcastPublish(',
    'atomic.store<i32>(cell, length, CELL_LENGTH);',
    'atomic.store<i32>(cell, tail | 1, CELL_STAMP); atomic.store<i32>(cell, length, CELL_LENGTH);',
  ]),
  broadcast('nobody waits for the slowest subscriber', 'broadcast: one publishes, one gets', [
    'function room(',
    'return slowest < limit;',
    'return true;',
  ]),
  broadcast('the slowest subscriber is remembered as ahead', 'broadcast: one publishes, one gets', [
    'function room(',
    'atomic.store<i32>(b, tail - slowest, BROADCAST_SEEN);',
    'atomic.store<i32>(b, tail, BROADCAST_SEEN);',
  ]),
  broadcast('a cell is claimed that was not published a lap ago', 'broadcast: two publish, who is slow', [
    'function room(',
    'atomic.load<i32>(cellAt(b, tail), CELL_STAMP) !== ((tail - lap) | 1)',
    'false',
  ]),
  broadcast('only the first place counts', 'broadcast: one publishes, two get', [
    'function lag(',
    'atomic.load<i32>(b, BROADCAST_USED)',
    'min(1, atomic.load<i32>(b, BROADCAST_USED))',
  ]),
  broadcast('a new place is not shown to publishers', 'broadcast: one subscribes', [
    'export function broadcastSubscribe(',
    'show(b, place);',
    '',
  ]),
  broadcast('two take the same place', 'broadcast: two subscribe', [
    'export function broadcastSubscribe(',
    'atomic.cmpxchg<i32>(s, NOT_SUBSCRIBED, mine, SUBSCRIPTION_STATE) !== NOT_SUBSCRIBED',
    '(atomic.store<i32>(s, mine, SUBSCRIPTION_STATE), false)',
  ]),
  broadcast('the cursor is not moved on once it counts', 'broadcast: one subscribes', [
    'atomic.store<i32>(s, mine | SUBSCRIBED, SUBSCRIPTION_STATE);',
    'atomic.store<i32>(s, tailOf(b), SUBSCRIPTION_CURSOR);',
    '',
  ]),
  broadcast('the cursor is moved without comparing', 'broadcast: two share', [
    'export function subscriptionTake(',
    'atomic.cmpxchg<i32>(s, cursor, cursor + 2, SUBSCRIPTION_CURSOR) !== cursor',
    '(atomic.store<i32>(s, cursor + 2, SUBSCRIPTION_CURSOR), false)',
  ]),
  broadcast('a copy that was overtaken is used', 'broadcast: slow ones', [
    'export function subscriptionTake(',
    'if (skips && overtaken(b, cursor, limit)) continue;',
    '',
  ]),
  broadcast('what was missed is not counted', 'broadcast: slow ones', [
    'function miss(',
    'atomic.add<i32>(s, distance >> 1, SUBSCRIPTION_MISSED);',
    '',
  ]),
  broadcast('who is too slow goes on where nothing is any more', 'broadcast: slow ones', [
    'export function subscriptionTake(',
    'behind > limit',
    'false',
  ]),
  broadcast('a copy is used though another thread has left meanwhile', 'broadcast: one of two who share', [
    'export function subscriptionTake(',
    'return stands(s, serial) ? DONE : CLOSED;',
    'return DONE;',
  ]),
  broadcast('an item is taken from who has the place now', 'broadcast: one leaves, and its place', [
    'export function subscriptionTake(',
    'if (!stands(s, serial)) return CLOSED;',
    '',
  ]),
  broadcast('a burial leaves the subscription', 'broadcast: death of one of two', [
    'export function subscriptionBury(',
    'atomic.cmpxchg<i32>(s, seen, NOT_SUBSCRIBED, SUBSCRIPTION_STATE) === seen',
    'true',
  ]),
  broadcast('who uses a subscription is not noted', 'broadcast: death of one of two', [
    'function own(',
    'atomic.cmpxchg<i32>(s, seen, mine, SUBSCRIPTION_STATE) === seen',
    'true',
  ]),
  broadcast('a broadcast that is closed looks empty', 'broadcast: closed', [
    'export function subscriptionTake(',
    '(tail & CLOSED_BIT) !== 0 && behind === 0 ? CLOSED : BUSY',
    'BUSY',
  ]),

  pipe('two threads use one end', 'pipe: two want one end', [
    'export function pipeEnter(',
    'owner = atomic.cmpxchg<i32>(end, PIPE_UNUSED, me, PIPE_OWNER);',
    'atomic.store<i32>(end, me, PIPE_OWNER);',
  ]),
  pipe('who leaves does not close what it sent to', 'pipe: death of one of two', [
    'export function pipeLeave(',
    'ringClose(<usize>load<i32>(end, PIPE_OUTBOX));',
    '',
  ]),
  pipe('who leaves does not close what it received from', 'pipe: death of one of two', [
    'export function pipeLeave(',
    'ringClose(<usize>load<i32>(end, PIPE_INBOX));',
    '',
  ]),
  pipe('an end is over before its queues are closed', 'pipe: death while one closes', [
    'export function pipeLeave(',
    'if (atomic.load<i32>(end, PIPE_OWNER) !== me) return BUSY;',
    'if (atomic.cmpxchg<i32>(end, me, PIPE_OVER, PIPE_OWNER) !== me) return BUSY;',
  ]),
  pipe('an end that was closed can be used', 'pipe: closed by the receiver', [
    'export function pipeLeave(',
    'atomic.cmpxchg<i32>(end, me, PIPE_OVER, PIPE_OWNER);',
    '',
  ]),

  records('a record is published before all of it is there', 'records: two put', [
    'export function recordsPut(',
    'copy(slot + SLOT_RECORD, from + <usize>(i * bytes), bytes);',
    'copy(slot + SLOT_RECORD, from + <usize>(i * bytes), bytes - 8); atomic.store<i64>(slot, wordOf(position | 1, 0)); copy(slot + SLOT_RECORD + <usize>(bytes - 8), from + <usize>(i * bytes + bytes - 8), 8);',
  ]),
  records('a record is copied as far as the next one', 'records: two at once', [
    'function copyPublished(',
    'into + <usize>(n * bytes)',
    'into + <usize>(n * 8)',
  ]),
  redelivery('two take what came back', 'redelivery: two came back', [
    'export function blockTake(',
    'atomic.cmpxchg<i32>(block, RETURNED, taker << 1, BLOCK_STATE) !== RETURNED',
    '(atomic.store<i32>(block, taker << 1, BLOCK_STATE), false)',
  ]),
  redelivery('what was taken first does not come first', 'redelivery: two came back', [
    'function firstReturned(',
    'taken - order >= 0',
    'true',
  ]),
  redelivery('a return that nobody has looked at counts as seen', 'redelivery: death of one of two', [
    'export function blockTake(',
    'atomic.store<i32>(q, returns, QUEUE_RETURNS_SEEN);',
    'atomic.store<i32>(q, atomic.load<i32>(q, QUEUE_RETURNS), QUEUE_RETURNS_SEEN);',
  ]),
  redelivery('a return is not counted', 'redelivery: death of one of two', [
    'export function blockReturn(',
    'if (some) atomic.add<i32>(q, 1, QUEUE_RETURNS);',
    '',
  ]),
  redelivery('the head stays at an item that came back', 'redelivery: death of one while one joins', [
    'export function blockReturn(',
    'passOver(q, blockAt(q, index));',
    '',
  ]),
  redelivery('what is given back is not counted', 'redelivery: one holds an item', [
    'export function blockGiveBack(',
    'atomic.add<i32>(q, 1, QUEUE_RETURNS);',
    '',
  ]),
  redelivery('what is given back is counted before it is there', 'redelivery: one holds an item', [
    'export function blockGiveBack(',
    'atomic.store<i32>(block, RETURNED, BLOCK_STATE);',
    'atomic.add<i32>(q, 1, QUEUE_RETURNS); atomic.store<i32>(block, RETURNED, BLOCK_STATE); return;',
  ]),
  redelivery('what is given back is free', 'redelivery: one holds an item', [
    'export function blockGiveBack(',
    'atomic.store<i32>(block, RETURNED, BLOCK_STATE);',
    'atomic.store<i32>(block, 0, BLOCK_STATE);',
  ]),
  redelivery('what the dead gave back and did not count stays unseen', 'redelivery: death of one who gives back', [
    'export function blockReturn(',
    'state !== RETURNED',
    'true',
  ]),
];

async function graph(
  name: string,
  by: string,
  from: string,
  to: string,
): Promise<{ name: string; by: string; protocol: Protocol }> {
  const { WaitGraph } = await changed<typeof waitgraph>('memory/waitgraph', from, to);
  return { name, by, protocol: { classes: { WaitGraph } } };
}

async function wakeless(): Promise<Classes['Queue']> {
  const gets = changedUrl('queue/gets', 'i < held.length &&', 'i < 0 &&');
  const { Queue } = await changed<typeof queue>('queue/queue', './gets.js', gets);
  return Queue;
}

/** Calls that what ships makes, and that are left out; and changes of the look for deadlocks. */
export const queueProtocols: readonly { readonly name: string; readonly by: string; readonly protocol: Protocol }[] = [
  {
    name: 'no publisher is woken when an item was taken',
    by: 'broadcast: one publishes, one gets',
    protocol: { dropped: { broadcastWritable: 0 } },
  },
  {
    name: 'no subscriber is woken',
    by: 'broadcast: one publishes, one gets',
    protocol: { dropped: { broadcastSleeper: -1 } },
  },
  {
    name: 'a wake is not passed on to who shares the subscription',
    by: 'broadcast: two share',
    protocol: { dropped: { subscriptionReadable: 0 } },
  },
  {
    name: 'a burial passes by what was not acknowledged',
    by: 'redelivery: death of one of two',
    protocol: { dropped: { blockReturn: 0 } },
  },
  await graph(
    'a thread that is just getting a lock counts as its owner',
    'deadlock: none, as a reader enters',
    '.filter((slot) => !this.#enters(slot, object, kind.ownerSet))',
    '',
  ),
  await graph('nobody else is told to look', 'deadlock: two mutexes', 'wake(owner)', 'undefined'),
  await graph('all of a cycle report it', 'deadlock: two mutexes', 'if (next.ticket > mine.ticket)', 'if (false)'),
  await graph('a wait with a deadline counts', 'deadlock: none, as one has', 'if (!next?.endless)', 'if (!next)'),
  {
    name: 'nobody is woken when an item is given back',
    by: 'redelivery: one holds an item',
    protocol: { classes: { Queue: await wakeless() } },
  },
  { name: 'a burial passes by the pipe', by: 'pipe: death of one of two', protocol: { dropped: { pipeLeave: 2 } } },
];

export const equivalentQueueProtocols: readonly {
  readonly name: string;
  readonly by: string;
  readonly protocol: Protocol;
  readonly reason: string;
}[] = [
  {
    ...(await graph(
      'a cycle is not looked at again',
      'deadlock: two mutexes',
      'if (this.#stands(cycle))',
      'if (cycle)',
    )),
    reason:
      'who has a lower ticket has waited since before the look, so of a cycle nothing changes but by a death or by `free`',
  },
];
