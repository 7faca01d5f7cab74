import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BROADCAST_CELLS_AT,
  BROADCAST_PUBLISHERS,
  BROADCAST_TAIL,
  SUBSCRIPTION_WAITERS,
} from '../lib/kernel/layout.ts';
import {
  ClosedError,
  CodecError,
  InvalidHandleError,
  MessageTooLargeError,
  RegionFullError,
  TimeoutError,
} from '../lib/memory/errors.ts';
import { attach, share } from '../lib/memory/handles.ts';
import { Region } from '../lib/memory/region.ts';
import { Broadcast, type BroadcastOptions } from '../lib/queue/broadcast.ts';
import { codec } from '../lib/queue/codec.ts';
import type { Subscription } from '../lib/queue/subscription.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import type { Hearing, Seen } from './kit/casting.ts';
import { crew } from './kit/crew.ts';
import { refuses, refusesLater } from './kit/refuses.ts';
import { newRegion } from './kit/regions.ts';
import { starts } from './kit/rings.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const casting = new URL('./kit/casting.js', import.meta.url);
const region = new Region({ bytes: 2 ** 22, threads: 12 });
const ways = ['wait', 'skip'] as const;

function newBroadcast<T = unknown>(options: Partial<BroadcastOptions<T>> = {}): Broadcast<T> {
  return new Broadcast<T>({ region, name: 'prices', capacity: 4, ...options });
}

function numbers(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

/** What is there. */
function drain<T>(subscription: Subscription<T>): T[] {
  const all: T[] = [];
  for (let item = subscription.tryGet(); item !== undefined; item = subscription.tryGet()) all.push(item);
  return all;
}

/** Another thread that waits; resolves once it is registered. */
async function other(order: Omit<Hearing, 'gate'>): Promise<{ ended: Promise<unknown> }> {
  const gate = newGate();
  const ended = crew<unknown>(1, casting, 'hear', { ...order, gate }).then(([result]) => result);
  await until(() => awaited(order), 'a thread that waits');
  return { ended };
}

/** Whether somebody is registered with the publishers, or with this subscription. */
function awaited({
  broadcast,
  subscription,
}: {
  broadcast?: { offset: number };
  subscription?: { offset: number };
}): boolean {
  const sets = [
    ...(broadcast ? [broadcast.offset + BROADCAST_PUBLISHERS] : []),
    ...(subscription ? [subscription.offset + SUBSCRIPTION_WAITERS] : []),
  ];
  return sets.some((set) => region.kernel.waiting(set) !== 0);
}

test('each subscriber sees each item that was published after it subscribed, in order and as it was', () => {
  for (const slow of ways) {
    const broadcast = newBroadcast<unknown>({ slow, capacity: 8 });
    broadcast.publish('to nobody');
    const items = [1, 'two', null, { three: [3n] }];
    const first = broadcast.subscribe();
    broadcast.publish('first only');
    const second = broadcast.subscribe();
    for (const item of items) broadcast.publish(item);
    assert.is(first.get(), 'first only');
    for (const item of items) assert.equal([first.get(), second.get()], [item, item]);
    assert.equal([first.tryGet(), second.tryGet(), first.missed], [undefined, undefined, 0]);
    broadcast.publish(undefined);
    assert.is(first.get(), undefined);
  }
});

test('positions that pass 2^31 and 2^32 change nothing', () => {
  for (const position of starts) {
    for (const slow of ways) {
      for (const capacity of [1, 3, 4]) {
        const broadcast = newBroadcast<number>({ region: newRegion(), codec: codec.i32, position, slow, capacity });
        const [quick, lazy] = [broadcast.subscribe(), broadcast.subscribe()];
        const late: number[] = [];
        for (const n of numbers(20)) {
          broadcast.publish(n);
          assert.is(quick.get(), n, `${position} ${slow} ${capacity}`);
          if (slow === 'wait') assert.is(lazy.get(), n);
          else if (n % 7 === 6) late.push(...drain(lazy));
        }
        assert.is(broadcast.subscribe().tryGet(), undefined);
        if (slow === 'wait') continue;
        assert.equal(
          late,
          [6, 13].flatMap((n) => numbers(capacity, n + 1 - capacity)),
        );
        assert.is(lazy.missed, 14 - late.length);
      }
    }
  }
});

test('publishers wait for the slowest subscriber, and for nobody when none is there', async () => {
  const broadcast = newBroadcast<number>({ capacity: 3 });
  for (const n of numbers(10)) broadcast.publish(n);
  const [slow, quick] = [broadcast.subscribe(), broadcast.subscribe()];
  for (const n of numbers(3)) broadcast.publish(n);
  assert.equal(drain(quick), [0, 1, 2]);
  const late = /^publish to broadcast "prices" timed out after [02] ms$/;
  for (const timeout of [0, 2]) {
    refuses(() => broadcast.publish(9, { timeout }), TimeoutError, late);
    await refusesLater(broadcast.publishAsync(9, { timeout }), TimeoutError, late);
  }
  assert.is(awaited({ broadcast, subscription: slow }), false);
  const waiting = await other({ broadcast: broadcast as Broadcast<unknown>, verb: 'publish' });
  assert.is(quick.tryGet(), undefined);
  assert.is(slow.get(), 0);
  assert.is(await waiting.ended, 'done');
  assert.equal([drain(slow), drain(quick)], [[1, 2, 'late'], ['late']]);
});

test('a subscriber that leaves pushes nobody back any more', async () => {
  const broadcast = newBroadcast<unknown>({ capacity: 1 });
  const [gone, there] = [broadcast.subscribe(), broadcast.subscribe()];
  broadcast.publish(1);
  assert.is(there.get(), 1);
  for (const verb of ['publish', 'publishAsync'] as const) {
    const waiting = await other({ broadcast, verb });
    if (verb === 'publish') gone.close();
    else assert.is(there.get(), 'late');
    assert.is(await waiting.ended, 'done');
  }
});

test('a slow subscriber is told how many it missed, and goes on with the oldest that is still there', () => {
  const broadcast = newBroadcast<number>({ slow: 'skip', capacity: 3 });
  const [lazy, quick] = [broadcast.subscribe(), broadcast.subscribe()];
  for (const n of numbers(10)) {
    broadcast.publish(n);
    assert.is(quick.get(), n);
  }
  assert.equal([lazy.get(), lazy.missed], [7, 7]);
  assert.equal([lazy.get(), lazy.get(), lazy.tryGet(), lazy.missed], [8, 9, undefined, 7]);
  for (const n of numbers(4)) broadcast.publish(n);
  assert.equal([lazy.get(), lazy.missed, quick.missed], [1, 8, 0]);
});

test("several publishers and several subscribers, in every way: each sees everything, in each publisher's order", async () => {
  const [publishers, subscribers, items] = [2, 3, 1000];
  for (const capacity of [1, 5]) {
    const broadcast = newBroadcast({ capacity, codec: codec.bytes });
    const programme = { broadcast, gate: newGate(), publishers, subscribers, items, bytes: 60 };
    const seen = await crew<Seen | undefined>(publishers + subscribers, casting, 'perform', programme);
    for (const { numbers: got, missed } of seen.slice(publishers) as Seen[]) {
      assert.is(missed, 0);
      for (const publisher of numbers(publishers)) {
        const from = publisher * 100_000;
        assert.equal(
          got.filter((n) => Math.floor(n / 100_000) === publisher),
          numbers(items, from),
        );
      }
      assert.is(got.length, publishers * items);
    }
    broadcast.free();
  }
});

test('subscribers that are passed over see whole items in order, and are told exactly how many are missing', async () => {
  const [publishers, subscribers] = [2, 2];
  for (const [capacity, bytes, items] of [
    [4, 60, 3000],
    [1, 30_000, 8000], // it takes a while to copy one, and so it is overtaken
  ] as const) {
    const broadcast = newBroadcast({ capacity, codec: codec.bytes, slow: 'skip', blockBytes: bytes });
    const programme = { broadcast, gate: newGate(), publishers, subscribers, items, bytes };
    const seen = await crew<Seen | undefined>(publishers + subscribers, casting, 'perform', programme);
    for (const { numbers: got, missed } of seen.slice(publishers) as Seen[]) {
      assert.is(got.includes(-1), false, 'an item that was overwritten while it was read');
      assert.is(got.length + missed, publishers * items);
      for (const publisher of numbers(publishers)) {
        const own = got.filter((n) => Math.floor(n / 100_000) === publisher);
        assert.equal(
          own,
          [...new Set(own)].sort((a, b) => a - b),
        );
      }
    }
    broadcast.free();
  }
});

test('what was claimed and is not yet published is neither overwritten nor read', async () => {
  for (const slow of ways) {
    const broadcast = newBroadcast<number>({ region: newRegion(), capacity: 2, codec: codec.i32, slow });
    const { i32 } = broadcast.region;
    const word = (at: number) => (broadcast.offset + at) >> 2;
    const subscription = broadcast.subscribe();
    i32[word(BROADCAST_TAIL)]! += 2; // a publisher is held up between its claim of position 0 and its stamp
    broadcast.publish(1);
    assert.is(subscription.tryGet(), undefined);
    if (slow === 'wait') subscription.close();
    refuses(() => broadcast.publish(2, { timeout: 1 }), TimeoutError);
    const waiting = broadcast.publishAsync(2);
    const cell = (i32[word(BROADCAST_CELLS_AT)] ?? 0) >> 2;
    i32[cell] = 1; // now it goes on
    if (slow === 'wait') broadcast.subscribe().close();
    else assert.is(typeof subscription.get(), 'number');
    await waiting;
    if (slow === 'skip') assert.equal([drain(subscription), subscription.missed], [[1, 2], 0]);
  }
});

test('subscribers that come and go while it runs see items in a row, and hold nobody up when they are gone', async () => {
  const broadcast = newBroadcast<number>({ capacity: 2, codec: codec.i32, subscribers: 4 });
  const order = { broadcast, gate: newGate(), rounds: 300 };
  assert.equal(await crew(4, casting, 'comeAndGo', order), ['published', 'in a row', 'in a row', 'in a row']);
});

test('a timeout or an abort ends get and getAsync, and leaves no trace', async () => {
  const broadcast = newBroadcast<number>();
  const subscription = broadcast.subscribe();
  const late = /^get from subscription "prices" timed out after [02] ms$/;
  for (const timeout of [0, 2]) {
    refuses(() => subscription.get({ timeout }), TimeoutError, late);
    await refusesLater(subscription.getAsync({ timeout }), TimeoutError, late);
  }
  const stop = new AbortController();
  const [first, second] = [subscription.getAsync({ signal: stop.signal }), subscription.getAsync()];
  broadcast.publish(1);
  stop.abort(new RangeError('stop'));
  await refusesLater(first, RangeError, 'stop');
  assert.is(await second, 1);
  assert.is(awaited({ broadcast, subscription }), false);
});

test('an abort ends publishAsync with its reason, and the next in line is served', async () => {
  const broadcast = newBroadcast<number>({ capacity: 1 });
  const subscription = broadcast.subscribe();
  broadcast.publish(0);
  const stop = new AbortController();
  const [first, second] = [broadcast.publishAsync(1, { signal: stop.signal }), broadcast.publishAsync(2)];
  stop.abort(new RangeError('stop'));
  await refusesLater(first, RangeError, 'stop');
  assert.is(subscription.get(), 0);
  await second;
  assert.is(await subscription.getAsync(), 2);
  assert.is(awaited({ broadcast, subscription }), false);
});

test('what one thread publishes keeps the order of its calls, whatever their form', async () => {
  const broadcast = newBroadcast<number>({ capacity: 1 });
  const subscription = broadcast.subscribe();
  const sent = numbers(20).map((n) => broadcast.publishAsync(n));
  const all: number[] = [await subscription.getAsync()];
  refuses(() => broadcast.publish(99, { timeout: 0 }), TimeoutError);
  while (all.length < 20) all.push(await subscription.getAsync());
  await Promise.all(sent);
  assert.equal(all, numbers(20));
});

test('promises on several subscriptions of one thread do not wait for each other', async () => {
  const [one, two] = [newBroadcast<number>(), newBroadcast<number>()];
  const subscriptions = [one.subscribe(), one.subscribe(), two.subscribe()];
  const pending = subscriptions.map((subscription) => subscription.getAsync());
  two.publish(2);
  assert.is(await pending[2], 2);
  one.publish(1);
  assert.equal(await Promise.all(pending), [1, 1, 2]);
});

test('threads that wait are woken by an item, each by its own subscription', async () => {
  const broadcast = newBroadcast();
  const waits = [];
  for (const verb of ['get', 'getAsync', 'get'] as const) {
    waits.push(await other({ subscription: broadcast.subscribe(), verb }));
  }
  broadcast.publish('news');
  assert.equal(await Promise.all(waits.map(({ ended }) => ended)), ['news', 'news', 'news']);
});

test('after close, publish throws ClosedError, and subscribers take what is there first', async () => {
  const broadcast = newBroadcast<unknown>({ capacity: 2 });
  const subscription = broadcast.subscribe();
  broadcast.publish(1);
  broadcast.publish(2);
  const closed = /^broadcast "prices" is closed$/;
  const publishing = await other({ broadcast, verb: 'publish' });
  const promise = refusesLater(broadcast.publishAsync(3), ClosedError, closed);
  broadcast.close();
  broadcast.close();
  assert.is(await publishing.ended, 'ERR_CLOSED');
  await promise;
  assert.is(refuses(() => broadcast.publish(4), ClosedError, closed).code, 'ERR_CLOSED');
  refuses(() => broadcast.subscribe(), ClosedError, closed);
  assert.equal([subscription.get(), await subscription.getAsync()], [1, 2]);
  const ended = /^subscription "prices" is closed$/;
  refuses(() => subscription.get(), ClosedError, ended);
  refuses(() => subscription.tryGet(), ClosedError, ended);
  await refusesLater(subscription.getAsync(), ClosedError, ended);
});

test('both iterators end when it is closed and the items were taken, threads and promises', async () => {
  const broadcast = newBroadcast({ capacity: 20 });
  const waits = [];
  for (const verb of ['iterate', 'iterateAsync', 'get'] as const) {
    waits.push(await other({ subscription: broadcast.subscribe(), verb }));
  }
  for (const n of numbers(9)) broadcast.publish(n);
  broadcast.close();
  const [one, two, three] = await Promise.all(waits.map(({ ended }) => ended));
  assert.equal([one, two, three], [numbers(9), numbers(9), 0]);
  const other_ = newBroadcast();
  const asleep = await other({ subscription: other_.subscribe(), verb: 'get' });
  other_.close();
  assert.is(await asleep.ended, 'ERR_CLOSED');
});

test('closing a subscription ends its waits, and using does it', async () => {
  const broadcast = newBroadcast<number>();
  const subscription = broadcast.subscribe();
  const thread = await other({ subscription, verb: 'get' });
  const promise = refusesLater(subscription.getAsync(), ClosedError, /^subscription "prices" is closed$/);
  subscription.close();
  subscription.close();
  await promise;
  assert.is(await thread.ended, 'ERR_CLOSED');
  let kept: Subscription<number>;
  {
    using mine = broadcast.subscribe();
    kept = mine;
    broadcast.publish(1);
    for (const n of mine) {
      assert.is(n, 1);
      mine.close();
    }
  }
  refuses(() => kept.get(), ClosedError);
});

test('there are as many subscriptions as was said, and a place is used again', () => {
  const broadcast = newBroadcast<number>({ subscribers: 2 });
  const [one, two] = [broadcast.subscribe(), broadcast.subscribe()];
  refuses(() => broadcast.subscribe(), RangeError, /^subscribers must be more than 2 for one more .* "prices"$/);
  const handle = share(one);
  one.close();
  const three = broadcast.subscribe();
  broadcast.publish(1);
  refuses(() => one.get(), ClosedError, 'closed');
  one.close();
  one.free();
  refuses(() => attach(handle), InvalidHandleError, 'freed');
  assert.equal([drain(two), drain(three)], [[1], [1]], 'the place of another subscription now');
  three.free();
  const four = broadcast.subscribe();
  for (const use of [() => three.get(), () => three.missed, () => three.close(), () => three.free()]) {
    refuses(use, InvalidHandleError, 'freed');
  }
  broadcast.publish(2);
  assert.equal(drain(four), [2]);
  const eight = new Broadcast({ region: newRegion(), capacity: 1 });
  for (const _ of numbers(8)) eight.subscribe();
  refuses(() => eight.subscribe(), RangeError, /more than 8/);
});

test('a subscriber whose thread ended is forgotten', async () => {
  const broadcast = newBroadcast<unknown>({ capacity: 1, subscribers: 1 });
  const gate = newGate();
  const forgetful = crew(1, casting, 'forget', { broadcast, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  broadcast.publish(1);
  refuses(() => broadcast.publish(2, { timeout: 1 }), TimeoutError);
  const waiting = broadcast.publishAsync(3);
  Atomics.store(gate, OPEN, 1);
  await forgetful;
  await waiting;
  broadcast.publish(4, { timeout: 0 });
  assert.is(broadcast.subscribe().tryGet(), undefined);
});

test('a subscription that was handed on belongs to the thread that used it last', async () => {
  const broadcast = newBroadcast<{ subscription: Subscription<unknown> }>();
  const mine = broadcast.subscribe();
  const gate = newGate();
  const giver = crew(1, casting, 'subscribeFor', { broadcast, gate });
  const { subscription } = await mine.getAsync();
  assert.instance(subscription.get(), Object);
  Atomics.store(gate, OPEN, 1);
  await giver;
  broadcast.publish({ subscription });
  assert.is((subscription.get() as { subscription: Subscription }).subscription.offset, subscription.offset);
  const thread = await other({ subscription, verb: 'get' });
  broadcast.publish({ subscription: mine });
  await thread.ended;
  refuses(() => subscription.get(), ClosedError, 'closed');
});

test('of several threads that use one subscription one gets each item', async () => {
  const broadcast = newBroadcast<number>({ capacity: 3, codec: codec.i32 });
  const subscription = broadcast.subscribe();
  const takers = crew<number[]>(3, casting, 'share', { subscription });
  for (const n of numbers(3000)) await broadcast.publishAsync(n);
  broadcast.close();
  const taken = await takers;
  for (const some of taken)
    assert.equal(
      some,
      [...some].sort((a, b) => a - b),
    );
  assert.equal(
    taken.flat().sort((a, b) => a - b),
    numbers(3000),
  );
});

test('every codec carries its values, and what it refuses is not published', () => {
  const values: [unknown, unknown[], unknown][] = [
    [codec.i32, [-(2 ** 31), 0, 2 ** 31 - 1], 0.5],
    [codec.u32, [0, 2 ** 32 - 1], -1],
    [codec.f64, [-0, Number.NaN, 0.1], '1'],
    [codec.i64, [-(2n ** 63n), 2n ** 63n - 1n], 2n ** 63n],
    [codec.string, ['', 'é'.repeat(100)], 5],
    [codec.json, [{ a: [1] }], 1n],
    [codec.bytes, [new Uint8Array(240).fill(7)], 'bytes'],
  ];
  for (const [through, good, bad] of values) {
    const broadcast = newBroadcast<unknown>({ codec: through as never });
    const subscription = broadcast.subscribe();
    refuses(() => broadcast.publish(bad), CodecError);
    for (const value of good) {
      broadcast.publish(value);
      assert.equal(subscription.get(), value);
    }
    broadcast.free();
  }
});

test('a message longer than blockBytes is refused, and the error says which option to raise', async () => {
  const broadcast = newBroadcast<string>({ blockBytes: 100, codec: codec.string });
  const subscription = broadcast.subscribe();
  const message = /^a message of \d{4} bytes does not fit: blockBytes of broadcast "prices" allows 100$/;
  const error = refuses(() => broadcast.publish('x'.repeat(1000)), MessageTooLargeError, message);
  assert.is(error.code, 'ERR_MESSAGE_TOO_LARGE');
  await refusesLater(broadcast.publishAsync('x'.repeat(1000)), MessageTooLargeError, message);
  assert.is(subscription.tryGet(), undefined);
  const large = newBroadcast<string>({ blockBytes: 5000, capacity: 1 });
  const reader = large.subscribe();
  large.publish('x'.repeat(4900));
  assert.is(reader.get().length, 4900);
  large.free();
});

test('a getter of an item may publish, too', () => {
  const broadcast = newBroadcast<unknown>();
  const subscription = broadcast.subscribe();
  const item = {
    text: 'outside',
    get more() {
      broadcast.publish('inside');
      return 'more';
    },
  };
  broadcast.publish(item);
  const seen = drain(subscription);
  assert.equal(seen.at(-1), { text: 'outside', more: 'more' });
  assert.ok(seen.length > 1 && seen.slice(0, -1).every((other) => other === 'inside'));
});

test('shared objects inside items arrive live, and a broadcast is one', () => {
  const broadcast = newBroadcast<unknown>();
  const subscription = attach<Subscription<unknown>>(share(broadcast.subscribe()));
  const again = attach<Broadcast<unknown>>(share(broadcast));
  again.publish({ mutex: new Mutex({ region, name: 'm' }), broadcast });
  const item = subscription.get() as { mutex: Mutex; broadcast: Broadcast<string> };
  assert.equal([item.mutex.name, item.broadcast.capacity, item.broadcast.name], ['m', 4, 'prices']);
  item.broadcast.publish('round');
  assert.is(subscription.get(), 'round');
});

test('free gives back all of it, and any later use throws InvalidHandleError', async () => {
  const before = region.used;
  const broadcast = newBroadcast<number>();
  const subscription = broadcast.subscribe();
  const [promise, thread] = [
    subscription.getAsync(),
    await other({ subscription: broadcast.subscribe() as never, verb: 'get' }),
  ];
  broadcast.free();
  await refusesLater(promise, InvalidHandleError);
  assert.ok(['ERR_INVALID_HANDLE', 'ERR_CLOSED'].includes((await thread.ended) as string));
  assert.is(region.used, before);
  const uses = [
    () => broadcast.publish(1),
    () => broadcast.subscribe(),
    () => broadcast.close(),
    () => broadcast.free(),
    () => subscription.get(),
    () => subscription.tryGet(),
    () => subscription.missed,
    () => subscription.close(),
    () => subscription.free(),
    () => [...subscription],
    () => share(subscription),
  ];
  for (const use of uses) refuses(use, InvalidHandleError, /was freed$/);
  await refusesLater(broadcast.publishAsync(1), InvalidHandleError);
  await refusesLater(subscription.getAsync(), InvalidHandleError);
});

test('a region without room for it keeps nothing of it', () => {
  const small = newRegion();
  const before = small.used;
  refuses(() => new Broadcast({ region: small, capacity: 2000 }), RegionFullError);
  refuses(() => new Broadcast({ region: small, capacity: 1, subscribers: 4096 }), RegionFullError);
  assert.is(small.used, before);
});

test.run();
