import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AsyncQueue } from '../lib/bridge/faces.ts';
import { connect, serve } from '../lib/bridge/socket.ts';
import { CodecError, StageError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import type { WorkerModule } from '../lib/pipeline/options.ts';
import { type Pipeline, pipeline } from '../lib/pipeline/pipeline.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { hasNats, NatsServer, NO_NATS } from './kit/nats-server.ts';
import { reasonOf } from './kit/pools.ts';
import { type Event, StandIn } from './kit/stand-in.ts';
import { openNats } from './kit/supplying.ts';
import { until } from './kit/until.ts';

const work = new URL('./kit/staging.js', import.meta.url) as WorkerModule<typeof import('./kit/staging.ts')>;
const supplying = new URL('./kit/supplying.js', import.meta.url) as WorkerModule<typeof import('./kit/supplying.ts')>;
const upTo = (n: number, from = 0): number[] => Array.from({ length: n }, (_, i) => from + i);
const byNumber = (a: number, b: number): number => a - b;
const folder = mkdtempSync(join(tmpdir(), 'ringfence-'));
const children: ChildProcess[] = [];
let used = 0;
let count = 0;

test.before.each(() => {
  used = Region.current.used;
});

test.after.each(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  assert.is(Region.current.used, used, 'memory is left in the region');
  assert.is(Region.current.inspect().threads.filter(({ alive }) => alive).length, 1, 'a thread is left');
});

test.after(() => rmSync(folder, { recursive: true }));

type Events = Event<number | number[] | number[][]>[];

/** Runs a pipeline between stand-ins; what became of the items. */
async function pass(
  items: number[],
  stages: (from: Pipeline<number>) => Pipeline<unknown>,
  { inFlight = 40, threads = 0 } = {},
): Promise<{ events: Events; from: StandIn<number>; error: unknown }> {
  const events: Events = [];
  const from = new StandIn<number>(events as Event<number>[], [...items]);
  const to = new StandIn<unknown>(events as Event<unknown>[]);
  const line = stages(pipeline(from, { inFlight, capacity: 64 + threads }));
  const error = await line.to(to).then(
    () => undefined,
    (error) => error,
  );
  assert.is(to.closed, error === undefined);
  return { events, from, error };
}

/** Each item is done once, after all that came of it was accepted. */
function assertDoneAfter(events: Events, items: readonly number[], outputs: (n: number) => number): void {
  const accepted = new Map<number, number>();
  const done = new Set<number>();
  for (const [what, value] of events) {
    if (what === 'accepted') {
      for (const n of [value].flat(3)) accepted.set(n, (accepted.get(n) ?? 0) + 1);
      continue;
    }
    const n = value as number;
    assert.is(what, 'done');
    assert.not(done.has(n), `${n} was acknowledged twice`);
    done.add(n);
    assert.is(accepted.get(n) ?? 0, outputs(n), `${n} was acknowledged when so much of it was accepted`);
  }
  assert.equal([...done].sort(byNumber), [...items]);
}

test('an item is acknowledged once, when all that came of it was accepted: maps, filters, many for one, groups', async () => {
  const items = upTo(150);
  const isOdd = (n: number) => n % 2;
  const each: [(line: Pipeline<number>) => Pipeline<unknown>, (n: number) => number][] = [
    [(line) => line, () => 1],
    [(line) => line.map(work, 'uneven'), () => 1],
    [(line) => line.map(work, 'uneven', { threads: 3 }).filter(work, 'isOdd', { threads: 2 }), isOdd],
    [
      (line) => line.map(work, 'uneven', { threads: 3, ordered: false }).flatMap(work, 'twice', { threads: 2 }),
      () => 2,
    ],
    [(line) => line.filter(work, 'isOddLater').batch(7).map(work, 'same').batch(3), isOdd],
    [(line) => line.batch(8).map(work, 'same', { threads: 2 }), () => 1],
    [(line) => line.map(work, 'uneven', { threads: 2 }).batch(10), () => 1],
  ];
  for (const [stages, outputs] of each) {
    const { events, from, error } = await pass(items, stages);
    assert.is(error, undefined);
    assertDoneAfter(events, items, outputs);
    assert.ok(from.mostAtOnce <= 40, `${from.mostAtOnce} in hand`);
  }
});

test('an item that becomes thousands of records is acknowledged after the last one', async () => {
  const { events } = await pass([3000, 1, 2000], (line) => line.flatMap(work, 'upTo', { threads: 2, capacity: 8 }), {
    inFlight: 4,
  });
  const doneAt = events.flatMap(([what], at) => (what === 'accepted' ? [] : [at]));
  assert.is(doneAt.length, 3);
  assert.is(events.length, 5004);
  assert.ok((doneAt[0] as number) >= 3000);
});

test('records that are skipped or collected are acknowledged, and a failure that stops gives all others back', async () => {
  for (const errors of ['skip', 'collect'] as const) {
    const { events, error } = await pass(upTo(20), (line) => line.map(work, 'refuseThree', { errors }));
    assert.is(error instanceof AggregateError, errors === 'collect');
    assertDoneAfter(events, upTo(20), (n) => Number(n !== 3));
  }
  const { events, error, from } = await pass(upTo(500), (line) => line.map(work, 'refuseThree'), { inFlight: 16 });
  assert.instance(error, StageError);
  assert.is(from.inHand, 0);
  const back = events.filter(([what]) => what === 'back').map(([, n]) => n);
  assert.ok(back.includes(3), 'the one that failed comes again');
  assert.not(events.some(([what, n]) => what === 'done' && n === 3));
});

test('whoever leaves the loop gives back what it has not asked beyond, and nothing is in hand any more', async () => {
  const events: Event<number>[] = [];
  const from = new StandIn(events, upTo(100), 8);
  const seen: number[] = [];
  for await (const n of pipeline(from).map(work, 'same')) {
    seen.push(n as number);
    if (seen.length === 21) break;
  }
  assert.equal(seen, upTo(21));
  const done = events.filter(([what]) => what === 'done').length;
  assert.ok(done >= 12 && done <= 20, `${done} acknowledged`);
  assert.is(from.inHand, 0);
  assert.ok(events.some(([what, n]) => what === 'back' && n === 20));
});

test('a sink that is slow holds the source back, and one that is full does not hinder a stop', async () => {
  const events: Event<number>[] = [];
  const from = new StandIn(events, upTo(1000), 32);
  const full = new StandIn<number>([], [], 1, () => new Promise(() => {}));
  const stop = new AbortController();
  const ended = reasonOf(pipeline(from, { signal: stop.signal }).map(work, 'same').to(full));
  await until(() => from.inHand > 24);
  stop.abort(new RangeError('enough'));
  assert.instance(await ended, RangeError);
  assert.is(from.mostAtOnce, 32);
  assert.is(events.filter(([what]) => what === 'back').length, 32);
});

test('a record that the sink cannot carry fails by the policy, and a sink that is closed ends the pipeline under any', async () => {
  const refuse = (n: number) => {
    if (n === 5) throw new CodecError('i32', 'cannot carry it');
  };
  for (const errors of ['stop', 'skip', 'collect'] as const) {
    const events: Event<number>[] = [];
    const error = await pipeline(new StandIn(events, upTo(10)))
      .to(new StandIn<number>(events, [], 8, refuse), { errors })
      .then(
        () => undefined,
        (error) => error,
      );
    if (errors === 'skip') assert.is(error, undefined);
    if (errors === 'stop') assert.is((error as StageError).record, 5);
    if (errors === 'collect') assert.is((error as AggregateError).errors[0].record, 5);
    assert.is(events.filter(([what]) => what === 'done').length, errors === 'stop' ? 0 : 10);
  }
  const gone = new StandIn<number>([], [], 8, () => {
    throw new Error('out of reach');
  });
  const error = await reasonOf(pipeline(new StandIn<number>([], upTo(10))).to(gone, { errors: 'skip' }));
  assert.match(String((error as StageError).cause), 'out of reach');
});

test('groups that could never be full are refused', async () => {
  const from = new StandIn<number>([], upTo(10), 10);
  assert.match(
    String(await reasonOf(pipeline(from).batch(4).map(work, 'same').batch(3).toArray())),
    'a batch is of 12',
  );
  assert.throws(() => pipeline(from, { inFlight: 0 }), 'inFlight must be');
});

test('a queue of this process is acknowledged too: join ends, and a stop gives back what a queue that redelivers has lent', async () => {
  for (const redeliver of [false, true]) {
    const from = new Queue<number>({ capacity: 16, redeliver });
    const to = new Queue<number>({ capacity: 200 });
    const filled = from.putManyAsync(upTo(100)).then(() => from.close());
    await pipeline(from).map(work, 'uneven', { threads: 2 }).to(to);
    await filled;
    await from.joinAsync({ timeout: 5000 });
    assert.equal([...to], upTo(100));
    from.free();
    to.free();
  }
  const from = new Queue<number>({ capacity: 16, redeliver: true });
  from.putMany(upTo(16));
  const seen: unknown[] = [];
  for await (const n of pipeline(from).map(work, 'same')) if (seen.push(n) === 6) break;
  from.close();
  const again = [...from];
  assert.equal([...new Set([...seen, ...again])].sort(), upTo(16).sort());
  assert.ok(again.includes(5), 'the loop had not asked beyond it');
  from.taskDone(again.length);
  from.free();
});

/** What a process with a pipeline does not lose, whoever is killed. */
async function assertNothingIsLost(from: AsyncQueue<number>, to: AsyncQueue<number>, ...args: string[]): Promise<void> {
  const total = 300;
  const start = () => {
    const child = fork(fileURLToPath(supplying as URL), args);
    children.push(child);
    return child;
  };
  const seen = new Map<number, number>();
  let kills = 0;
  let child = start();
  const putting = from.putManyAsync(upTo(total)).then(() => from.close());
  while (seen.size < total) {
    for (const n of await to.getManyAsync(50, { timeout: 120_000 })) {
      seen.set(n, (seen.get(n) ?? 0) + 1);
      await to.taskDone();
    }
    if (seen.size < 100 * (kills + 1) || kills === 2) continue;
    kills++;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    child = start();
  }
  await putting;
  await from.joinAsync({ timeout: 10_000 });
  assert.equal([...seen.keys()].sort(byNumber), upTo(total));
  const twice = [...seen.values()].reduce((sum, times) => sum + times - 1, 0);
  assert.ok(twice <= kills * 64, `${twice} came twice`); // not more than were in flight
  console.log(`total: ${kills} SIGKILLs of a pipeline, ${total} of ${total} items there, ${twice} of them twice`);
}

test('SIGKILL of a process with a pipeline between socket queues: each item arrives, those in flight perhaps twice', async () => {
  const region = new Region({ bytes: 2 ** 22, threads: 2 });
  const from = new Queue<unknown>({ capacity: 400, region });
  const to = new Queue<unknown>({ capacity: 400, region });
  const path = join(folder, `${count++}.sock`);
  const server = await serve({ path, queues: { in: from, out: to } });
  await assertNothingIsLost(from as AsyncQueue<number>, to as AsyncQueue<number>, 'socket', path);
  await server.close();
});

test('between socket queues records keep their order, and the queue at the end is closed', async () => {
  const region = new Region({ bytes: 2 ** 22, threads: 2 });
  const from = new Queue<unknown>({ capacity: 50, region });
  const to = new Queue<unknown>({ capacity: 50, region, codec: codec.any });
  const path = join(folder, `${count++}.sock`);
  const server = await serve({ path, queues: { from, to } });
  const client = await connect(path);
  const filled = from.putManyAsync(upTo(500)).then(() => from.close());
  const passed = pipeline(await client.queue('from'))
    .map(work, 'uneven' as never, { threads: 2 })
    .to(await client.queue('to'));
  const got: unknown[] = [];
  for await (const item of to) {
    got.push(item);
    to.taskDone();
  }
  await Promise.all([passed, filled]);
  assert.equal(got, upTo(500));
  await from.joinAsync({ timeout: 5000 });
  await client.close();
  await server.close();
});

if (!hasNats) test(NO_NATS, () => console.log(`total: ${NO_NATS}`));
else {
  const server = await NatsServer.start();
  test.after(() => server.stop());

  test('SIGKILL of a process with a pipeline between NATS queues: each item arrives, those in flight perhaps twice', async () => {
    const [from, to] = await openNats(await server.connect(), 'killed');
    await assertNothingIsLost(from, to, 'nats', String(server.port), 'killed');
  });

  test('a stage that takes longer than the lease keeps its items', async () => {
    const [from, to] = await openNats(await server.connect(), 'long');
    await from.putManyAsync([1, 2]);
    await from.close();
    await pipeline(from).map(supplying, 'longer', { threads: 2 }).to(to, { end: false });
    assert.is(await from.size, 0);
    const got = [await to.getAsync(), await to.getAsync()];
    assert.equal(got.sort(byNumber), [1, 2]);
    await to.taskDone(2);
    await from.joinAsync({ timeout: 5000 });
    assert.is(await to.size, 0);
  });
}

test.run();
