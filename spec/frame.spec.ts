import { mkdtempSync, rmSync } from 'node:fs';
import { connect as dial, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as frames from '../lib/bridge/frame.ts';
import { FrameReader, GREETING, HEAD, HELLO, ProtocolError, padded, REFUSED, VERSION } from '../lib/bridge/frame.ts';
import { connect, serve } from '../lib/bridge/socket.ts';
import { Region } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { until } from './kit/until.ts';

const SEED = 7;
const numbers = (length: number): number[] => Array.from({ length }, (_, i) => i);
const FRAME_BYTES = 4096;

const folder = mkdtempSync(join(tmpdir(), 'ringfence-'));
const path = join(folder, 'hostile.sock');
const region = new Region({ bytes: 2 ** 20, threads: 2 });
const jobs = new Queue<unknown>({ capacity: 4, region, name: 'jobs' });
const raw = new Queue({ capacity: 4, region, name: 'raw', codec: codec.bytes });
const kept = new Queue<unknown>({ capacity: 4, region, name: 'kept', redeliver: true });
const till = new Mutex({ region, name: 'till' });
const server = await serve({ path, queues: { jobs, raw, kept }, mutexes: { till }, frameBytes: FRAME_BYTES });
test.after(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

function frame(kind: number, request: number, rest: Uint8Array = Buffer.alloc(0), object = 0): Buffer {
  const bytes = Buffer.alloc(padded(HEAD + rest.length));
  bytes.writeUInt32LE(rest.length + HEAD - 4, 0);
  bytes.writeUInt16LE(kind, 4);
  bytes.writeUInt16LE(object, 6);
  bytes.writeUInt32LE(request, 8);
  bytes.set(rest, HEAD);
  return bytes;
}

/** The head alone of a frame that says to have so many bytes behind its length. */
function headOf(length: number): Buffer {
  const head = frame(1, 0);
  head.writeUInt32LE(length, 0);
  return head;
}

function hello(version = VERSION): Buffer {
  const rest = Buffer.alloc(GREETING.length + 2);
  rest.writeUInt16LE(version, rest.write(GREETING, 'latin1'));
  return frame(HELLO, 0, rest);
}

const opened = [
  hello(),
  frame(frames.OPEN_QUEUE, 1, Buffer.from('jobs')),
  frame(frames.OPEN_MUTEX, 2, Buffer.from('till')),
  frame(frames.OPEN_QUEUE, 3, Buffer.from('raw')),
  frame(frames.OPEN_QUEUE, 4, Buffer.from('kept')),
];

/** Sends the bytes and ends; resolves with the frames that came back when the connection is closed. */
function say(bytes: Uint8Array, ends = true): Promise<{ kind: number; text: string }[]> {
  return new Promise((resolve) => {
    const answers: { kind: number; text: string }[] = [];
    const reader = new FrameReader(({ kind, rest }) => answers.push({ kind, text: rest.toString() }));
    reader.limit = 2 ** 31;
    const socket: Socket = dial(path);
    socket.on('data', (chunk) => reader.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(answers));
    if (ends) socket.end(bytes);
    else socket.write(bytes);
  });
}

async function refusal(...bytes: Uint8Array[]): Promise<string> {
  const last = (await say(Buffer.concat(bytes), false)).at(-1);
  assert.is(last?.kind, REFUSED, JSON.stringify(last));
  return last?.text ?? '';
}

test('frames are the same wherever the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(65_535), fc.nat(65_535), fc.nat(2 ** 32 - 1), fc.uint8Array({ maxLength: 200 })), {
        maxLength: 20,
      }),
      fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 10 }),
      (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(([kind, object, request, rest]) => frame(kind, request, rest, object)));
        const got: unknown[] = [];
        const reader = new FrameReader(({ kind, object, request, rest }) => {
          got.push([kind, object, request, new Uint8Array(rest)]);
        });
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const cut = cuts[i % cuts.length] as number;
          reader.push(bytes.subarray(at, at + cut));
          at += cut;
        }
        assert.equal(got, sent);
      },
    ),
    { seed: SEED, numRuns: 2000 },
  );
});

test('a reader refuses a frame by its head, before it holds its bytes', () => {
  const reader = new FrameReader(() => {});
  reader.limit = 100;
  reader.push(headOf(96)); // as long as it may be
  const other = new FrameReader(() => {});
  other.limit = 100;
  let said = '';
  try {
    other.push(headOf(97));
  } catch (error) {
    assert.instance(error, ProtocolError);
    said = (error as Error).message;
  }
  assert.is(said, 'a frame of 101 bytes is too long: 100 are allowed');
});

test('each offence is named', async () => {
  assert.is(
    await refusal(Buffer.from('GET / HTTP/1.1\r\n\r\n')),
    'a frame of 542393675 bytes is too long: 1024 are allowed',
  );
  assert.is(await refusal(frame(HELLO, 0, Buffer.from('ringfense!!'))), 'this is no client of ringfence');
  assert.is(await refusal(hello(VERSION + 1)), `version ${VERSION + 1} of the protocol is not ${VERSION}`);
  assert.is(await refusal(frame(frames.PUT, 0)), 'this is no client of ringfence');
  const put = (...bytes: number[]) => frame(frames.PUT, 3, Buffer.from(bytes));
  const cases: [string, Buffer][] = [
    ['a frame of 7 bytes is too short', headOf(7)],
    ['a frame of 4097 bytes is too long: 4096 are allowed', frame(frames.PUT, 3, Buffer.alloc(4097 - HEAD))],
    ['a frame of kind 99 is not for a queue', frame(99, 3)],
    ['a frame of kind 4 is not for a mutex', frame(frames.PUT, 3, Buffer.alloc(4), 1)],
    ['object 9 was not opened', frame(frames.PUT, 3, Buffer.alloc(4), 9)],
    ['a parcel lacks its number of items', put()],
    ['a parcel ends in the middle of an item', put(255, 255, 255, 255)],
    ['a parcel ends in the middle of an item', put(1, 0, 0, 0, 255, 255, 255, 255)],
    ['a parcel ends in the middle of an item', put(1, 0, 0, 0, 1, 0, 0, 0, 1)],
    ['a parcel has 1 bytes behind its last item', put(0, 0, 0, 0, 7)],
    ['an item is none of codec any', put(1, 0, 0, 0, 1, 0, 0, 0, 99, 0, 0, 0)],
    ['a number is missing', frame(frames.GET, 3, Buffer.from([1]))],
    ['a tag is cut off', frame(frames.DONE_WITH, 3, Buffer.from([1]))],
    ['the client has no item with tag 7', frame(frames.DONE_WITH, 3, Buffer.from([7, 0, 0, 0]))],
  ];
  for (const [reason, bytes] of cases) assert.is(await refusal(...opened, bytes), reason);
  const twice = frame(frames.LOCK, 7, Buffer.alloc(0), 1);
  assert.is(await refusal(...opened, twice, twice), 'request 7 is under way already');
  await until(() => server.clients === 0);
  await till.recover(() => {}); // the first of the two held it
});

test('of a parcel that is none not even its first items are put, though bytes go straight from the socket into the queue', async () => {
  const whole = Buffer.from([2, 0, 0, 0, 3, 0, 0, 0, 7, 8, 9, 0, 1, 0, 0, 0, 5, 0, 0, 0]);
  for (const kind of [frames.PUT, frames.PUT_EACH]) {
    for (const cut of [whole.subarray(0, -4), whole.subarray(0, -5), Buffer.concat([whole, whole])]) {
      assert.match(await refusal(...opened, frame(kind, 9, cut, 2)), /^a parcel /);
    }
    assert.is(raw.size, 0);
    await say(Buffer.concat([...opened, frame(kind, 9, whole, 2)]));
    await until(() => raw.size === 2);
    assert.equal(raw.getMany(2), [new Uint8Array([7, 8, 9]), new Uint8Array([5])]);
  }
});

test('a client that puts more than its credit allows is refused', async () => {
  const item = Buffer.from([1, 0, 0, 0, 3, 0, 0, 0]); // true, as plain data
  const rest = Buffer.concat([Buffer.alloc(4), ...Array.from({ length: 500 }, () => item)]);
  rest.writeUInt32LE(500, 0);
  const bytes = numbers(9).map((request) => frame(frames.PUT, request + 10, rest));
  assert.match(await refusal(...opened, ...bytes), /a client may have 4096 items and \d+ bytes on their way/);
  while (jobs.tryGet() !== undefined || jobs.size > 0);
});

/** Bytes of a reference as the codec writes it inside of a region: what a forger would send. */
const forged = [255, 254, 0, 1, 12].map((what) => Buffer.from([12, what, 64, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]));

const restOf = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.constantFrom(...forged).map((item) => {
    const rest = Buffer.concat([Buffer.from([1, 0, 0, 0, item.length, 0, 0, 0]), item]);
    return Uint8Array.from([...rest, ...Buffer.alloc(padded(rest.length) - rest.length)]);
  }),
  fc
    .tuple(fc.nat(2), fc.uint8Array({ maxLength: 40 }))
    .map(([items, more]) => Uint8Array.from([items, 0, 0, 0, more.length, 0, 0, 0, ...more])),
);

/** A frame that is nearly right: any kind, any rest, sometimes with a wrong length or cut off. */
const hostile = fc
  .record({
    kind: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.nat(65_535)),
    object: fc.oneof(fc.nat(4), fc.nat(65_535)),
    request: fc.nat(5),
    rest: restOf,
    lie: fc.option(fc.nat()),
    cut: fc.option(fc.nat(60)),
  })
  .map(({ kind, object, request, rest, lie, cut }) => {
    const bytes = frame(kind, request + 10, rest, object);
    if (lie !== null) bytes.writeUInt32LE(lie >>> 0, 0);
    return cut === null ? bytes : bytes.subarray(0, Math.min(cut, bytes.length));
  });

test('tens of thousands of hostile frames end their connections, and the server lives with flat memory', async () => {
  const samples = fc.sample(fc.array(hostile, { minLength: 1, maxLength: 4 }), { seed: SEED, numRuns: 10_000 });
  const before = process.memoryUsage().rss;
  let sent = 0;
  let refused = 0;
  const drain = setInterval(() => {
    for (const queue of [jobs, raw]) while (queue.size > 0) queue.tryGet();
    while (kept.size > 0) {
      kept.tryGet();
      kept.taskDone();
    }
  }, 1);
  for (let at = 0; at < samples.length; at += 50) {
    const answers = await Promise.all(
      samples.slice(at, at + 50).map((bytes, i) => {
        sent += bytes.length;
        return say(Buffer.concat(i % 10 === 0 ? bytes : [...opened, ...bytes]));
      }),
    );
    refused += answers.filter((frames) => frames.at(-1)?.kind === REFUSED).length;
  }
  clearInterval(drain);
  await until(() => server.clients === 0);
  console.log(`total: ${sent} hostile frames, ${refused} of ${samples.length} connections refused for a named reason`);
  assert.ok(sent > 20_000);
  assert.ok(refused > samples.length / 3, `${refused} of ${samples.length}`);
  assert.ok(process.memoryUsage().rss - before < 150 * 2 ** 20);
});

test('no object was touched but as the protocol allows, and honest clients are served as before', async () => {
  const client = await connect(path);
  const mutex = await client.mutex('till');
  if (till.locked) await mutex.recoverAsync(() => {});
  await mutex.withAsync(() => {});
  if (!jobs.closed) {
    const queue = await client.queue('jobs');
    while (jobs.size > 0) jobs.tryGet();
    await queue.putAsync({ honest: true });
    assert.equal(await queue.getAsync(), { honest: true });
  }
  await client.close();
});

test.run();
