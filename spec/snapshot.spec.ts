import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatSnapshot, type RegionSnapshot } from '../lib/memory/snapshot.ts';

const at = Date.UTC(2026, 10, 24, 17, 4, 22, 500);

const snapshot: RegionSnapshot = {
  at,
  bytes: 64 * 2 ** 20,
  deaths: 0,
  repairs: {},
  used: 5000,
  threads: [
    { slot: 0, thread: 0, name: 'main', alive: true, waits: [] },
    {
      slot: 1,
      thread: 12,
      name: 'cook 12',
      alive: true,
      waits: [
        {
          kind: 'mutex',
          name: 'oven',
          offset: 128,
          wants: 'lock',
          blocking: true,
          timeout: false,
          since: at - 1234,
        },
      ],
    },
    {
      slot: 10,
      thread: 3,
      name: '',
      alive: false,
      waits: [
        {
          kind: 'queue',
          name: 'dishes',
          offset: 640,
          wants: 'get',
          blocking: true,
          timeout: true,
          since: at - 125_000,
        },
        { kind: 'queue', name: '', offset: 768, wants: 'put', blocking: false },
      ],
    },
  ],
  locks: [
    { kind: 'mutex', name: 'oven', offset: 128, bytes: 128, waiters: [1, 2], locked: true, owner: 0 },
    { kind: 'mutex', name: '', offset: 256, bytes: 128, waiters: [], locked: true, owner: 10 },
    { kind: 'mutex', name: 'a\nb', offset: 384, bytes: 128, waiters: [], locked: false, owner: -1 },
  ],
  queues: [
    {
      kind: 'queue',
      name: 'dishes',
      offset: 640,
      bytes: 1280,
      waiters: [10],
      waitersTo: { get: [10], put: [], join: [], reserve: [] },
      size: 3,
      capacity: 1000,
      put: 10,
      got: 7,
      closed: true,
    },
  ],
  others: [
    { kind: 'array', name: 'Int32Array', offset: 2048, bytes: 1280, waiters: [] },
    { kind: 'array', name: 'Int32Array', offset: 4096, bytes: 256, waiters: [] },
  ],
  pools: [{ name: 'cooks', threads: 4, spawned: 1, pending: 12 }],
};

test('a snapshot is printed as tables', () => {
  assert.is(
    formatSnapshot(snapshot),
    `
region of 64.0 MiB, 4.9 KiB used, 1.5 KiB of it in arrays, at 2026-11-24T17:04:22.500Z

  slot  thread  name     alive  waits for
     0       0  main     yes
     1      12  cook 12  yes    mutex "oven" to lock, for 1.2 s
    10       3           no     queue "dishes" to get, for 2 min, with a timeout; queue at 768 to put, by a promise

  lock          owner          waiting
  mutex "oven"  main (slot 0)  1, 2
  mutex at 256  slot 10
  mutex "a?b"

  queue           size  capacity  put  got  closed  waiting
  queue "dishes"     3      1000   10    7  yes     to get: 10

  pool   threads  spawned  pending
  cooks        4        1       12`.trimStart(),
  );
});

test('what is no snapshot is refused', () => {
  for (const [value, said] of [
    [undefined, 'undefined'],
    [new Map(), 'an object (Map)'],
    ['all', '"all"'],
  ] as const) {
    const message = `snapshot must be what region.inspect() gave: got ${said}`;
    assert.throws(
      () => formatSnapshot(value as never),
      (error: Error) => error instanceof TypeError && error.message === message,
    );
  }
});

test('parts that are empty are left out', () => {
  const empty = { ...snapshot, threads: [], locks: [], queues: [], others: [], pools: [] };
  assert.is(formatSnapshot(empty).includes('\n'), false);
});

test('a kind that is no lock and no queue is printed with all that it shows', () => {
  const event = { kind: 'latch', name: 'ready', offset: 128, bytes: 128, waiters: [1], count: 2 };
  const text = formatSnapshot({ ...snapshot, others: [event] });
  assert.match(text, /^ {2}latch "ready" {2}1 +count 2$/m);
});

test('a lock that shows more than its owner is printed with it', () => {
  const common = { name: 'map', offset: 128, bytes: 128, waiters: [3], waitersTo: { read: [], write: [3] } };
  const lock = { ...common, kind: 'rwlock', locked: true, owner: -1, readers: [1, 2] };
  assert.match(formatSnapshot({ ...snapshot, locks: [lock] }), /^ {2}rwlock "map" +to write: 3 {2}readers 1, 2$/m);
});

test.run();
