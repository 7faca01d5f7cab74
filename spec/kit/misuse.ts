import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { RingfenceError } from '../../lib/memory/errors.ts';
import { attach, type SharedObject, share } from '../../lib/memory/handles.ts';
import { Region } from '../../lib/memory/region.ts';
import { formatSnapshot } from '../../lib/memory/snapshot.ts';
import type { Pool } from '../../lib/pool/pool.ts';
import { Broadcast } from '../../lib/queue/broadcast.ts';
import { type Codec, codec } from '../../lib/queue/codec.ts';
import { type Connection, pipe } from '../../lib/queue/pipe.ts';
import { Queue } from '../../lib/queue/queue.ts';
import { select, selectAsync } from '../../lib/queue/select.ts';
import type { Subscription } from '../../lib/queue/subscription.ts';
import { Barrier } from '../../lib/sync/barrier.ts';
import { Condition } from '../../lib/sync/condition.ts';
import { Event } from '../../lib/sync/event.ts';
import { Latch } from '../../lib/sync/latch.ts';
import { Mutex } from '../../lib/sync/mutex.ts';
import { RLock } from '../../lib/sync/rlock.ts';
import { RwLock } from '../../lib/sync/rwlock.ts';
import { Semaphore } from '../../lib/sync/semaphore.ts';
import { Value, type ValueType } from '../../lib/sync/value.ts';

/** Something that a program should not do, and the error that it gets. */
export interface Misuse {
  readonly run: () => unknown;
  readonly error: string;
  readonly code?: string;
  readonly message: RegExp;
}

/** What the child process prints. */
export interface Outcome {
  readonly error: string;
  readonly code?: string | undefined;
  readonly message: string;
}

const locking = new URL('./locking.js', import.meta.url);
const sharing = new URL('./sharing.js', import.meta.url);
const tasks = new URL('./tasks.js', import.meta.url);
const piping = new URL('./piping.js', import.meta.url);
const queue = (options: object = {}): Queue => new Queue({ capacity: 2, name: 'orders', ...options });
const frames = (): Queue<Uint8Array> => new Queue<Uint8Array>({ capacity: 2, name: 'orders', codec: codec.bytes });
const structs = (): Queue<{ x: number }> => new Queue({ capacity: 2, codec: codec.struct({ x: 'u8' }) });
/** A name is taken once in a process, in which there are other rows. */
const point = (name: string): Codec<[number, number]> =>
  codec.define<[number, number]>({
    name,
    size: () => 8,
    encode: ([x, y], target) => target.writeInt32LE(y, target.writeInt32LE(x, 0)),
    decode: (source) => [source.readInt32LE(0), source.readInt32LE(4)],
  });
const mutex = (): Mutex => new Mutex({ name: 'stock' });
const semaphore = (permits = 2, max?: number): Semaphore => new Semaphore({ permits, max, name: 'seats' });
const event = (): Event => new Event({ name: 'ready' });
const latch = (): Latch => new Latch({ count: 2, name: 'loaded' });
const barrier = (): Barrier => new Barrier({ parties: 2, name: 'phase' });
const value = (type: ValueType = 'i32'): Value => new Value({ type, name: 'hits' });
const rlock = (): RLock => new RLock({ name: 'deep' });
const rwlock = (): RwLock => new RwLock({ name: 'prices' });
const condition = (held = mutex().lock()): Condition => new Condition({ mutex: held, name: 'filled' });
const reading = (): RwLock => {
  const one = rwlock();
  one.read.lock();
  return one;
};
const writing = (): RwLock => {
  const one = rwlock();
  one.write.lock();
  return one;
};
/** An argument that the compiler would not let through. */
const wrong = (value: unknown): never => value as never;
const ends = (options: object = {}): [Connection, Connection] => pipe({ capacity: 1, name: 'phone', ...options });
const broadcast = (options: object = {}): Broadcast => new Broadcast({ capacity: 1, name: 'prices', ...options });
/** A subscription to a broadcast that is full. */
const behind = (): { all: Broadcast; one: Subscription } => {
  const all = broadcast();
  const one = all.subscribe();
  all.publish(1);
  return { all, one };
};
/** An end whose way to the other one is full, and an item has come. */
const busy = (): Connection => {
  const [one, other] = ends();
  one.send(1);
  other.send(1);
  return one;
};
/** An end whose other end is closed. */
const hungUp = (): Connection => {
  const [one, other] = ends();
  other.close();
  return one;
};
const full = (): Queue => {
  const one = queue({ capacity: 1 });
  one.put(1);
  return one;
};
const closed = (): Queue => {
  const one = queue();
  one.close();
  return one;
};

/** Shares a mutex, changes its handle, and attaches that. */
function forge(change: object): unknown {
  return attach({ ...(share(mutex()) as object), ...change } as never);
}

/** A pool; loaded here, since most rows need none and start faster without. */
async function newPool(module: URL | string, options: object = { threads: 1 }): Promise<Pool> {
  const { Pool } = await import('../../lib/pool/pool.ts');
  return new Pool(module, options);
}

/** One task of a pool of one thread. */
async function run(module: URL | string, name: string, payload?: unknown, options: object = {}): Promise<unknown> {
  await using pool = await newPool(module);
  return await pool.run(payload, { name, ...options });
}

/** Runs with a module file of this text. */
async function withModule(code: string, name: string): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-'));
  try {
    const path = join(folder, 'work.mjs');
    writeFileSync(path, code);
    return await run(pathToFileURL(path), name);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const badTimeouts: Record<string, [value: unknown, error: string, message: RegExp]> = {
  NaN: [Number.NaN, 'RangeError', /^timeout must be 0 or more milliseconds, or Infinity: got NaN$/],
  '-1': [-1, 'RangeError', /^timeout must be 0 or more milliseconds, or Infinity: got -1$/],
  a_string: ['5', 'TypeError', /^timeout must be a number of milliseconds: got "5"$/],
  null: [null, 'TypeError', /^timeout must be a number of milliseconds: got null$/],
};

/** Each form that may wait: when it would have to, and when it would not. */
const waits: Record<string, (options: { timeout: never }) => unknown> = {
  'lock of a free mutex': (options) => mutex().lock(options),
  'lock of a mutex that is held': (options) => mutex().lock().lock(options),
  'with a free mutex': (options) => mutex().with(() => 1, options),
  'lockAsync of a free mutex': (options) => mutex().lockAsync(options),
  'lockAsync of a mutex that is held': (options) => mutex().lock().lockAsync(options),
  'acquire of permits that are there': (options) => semaphore().acquire(1, options),
  'acquire of too many permits': (options) => semaphore().acquire(3, options),
  'acquireAsync of permits that are there': (options) => semaphore().acquireAsync(1, options),
  'wait for an event': (options) => event().wait(options),
  'waitAsync for an event': (options) => event().waitAsync(options),
  'wait for a latch': (options) => latch().wait(options),
  'wait at a barrier': (options) => barrier().wait(options),
  'waitAsync at a barrier': (options) => barrier().waitAsync(options),
  'lock of a free rlock': (options) => rlock().lock(options),
  'lock of an rlock that this thread holds': (options) => rlock().lock().lock(options),
  'lockAsync of a free rlock': (options) => rlock().lockAsync(options),
  'read of a free rwlock': (options) => rwlock().read.lock(options),
  'read of an rwlock that is held': (options) => writing().read.lockAsync(options),
  'write of a free rwlock': (options) => rwlock().write.lock(options),
  'write of an rwlock that is held': (options) => reading().write.lockAsync(options),
  'writeAsync of a free rwlock': (options) => rwlock().write.withAsync(() => 1, options),
  'wait on a condition': (options) => condition().wait(options),
  'waitFor what is true': (options) => condition().waitFor(() => true, options),
  'waitAsync on a condition': (options) => condition().waitAsync(options),
  'waitForAsync what is true': (options) => condition().waitForAsync(() => true, options),
  'put with room': (options) => queue().put(1, options),
  'put without room': (options) => full().put(2, options),
  'putMany with room': (options) => queue().putMany([1], options),
  'putAsync with room': (options) => queue().putAsync(1, options),
  'putAsync without room': (options) => full().putAsync(2, options),
  'get with an item': (options) => full().get(options),
  'get without an item': (options) => queue().get(options),
  'getMany with an item': (options) => full().getMany(1, options),
  'getAsync without an item': (options) => queue().getAsync(options),
  'send with room': (options) => ends()[0].send(1, options),
  'send without room': (options) => busy().send(2, options),
  'sendAsync without room': (options) => busy().sendAsync(2, options),
  'recv with an item': (options) => busy().recv(options),
  'recv without an item': (options) => ends()[0].recv(options),
  'recvAsync without an item': (options) => ends()[0].recvAsync(options),
  'poll with an item': (options) => busy().poll(options),
  'poll without an item': (options) => ends()[0].poll(options),
  'publish to nobody': (options) => broadcast().publish(1, options),
  'publish without room': (options) => behind().all.publish(2, options),
  'publishAsync without room': (options) => behind().all.publishAsync(2, options),
  'get of a subscription with an item': (options) => behind().one.get(options),
  'get of a subscription without an item': (options) => broadcast().subscribe().get(options),
  'getAsync of a subscription without an item': (options) => broadcast().subscribe().getAsync(options),
  'select with an item': (options) => select([full()], options),
  'select without an item': (options) => select([queue(), queue()], options),
  'selectAsync without an item': (options) => selectAsync([queue(), queue()], options),
  'join with nothing to wait for': (options) => queue().join(options),
  'joinAsync with something to wait for': (options) => full().joinAsync(options),
};

const timeouts = Object.entries(waits).flatMap(([form, wait], at) => {
  const [name, [value, error, message]] = Object.entries(badTimeouts)[at % 4] as [string, (typeof badTimeouts)[string]];
  return [[`${form}: timeout ${name}`, { run: () => wait({ timeout: wrong(value) }), error, message }] as const];
});

const capacities = [0, -1, 1.5, 2 ** 40, Number.NaN].map((capacity) => {
  const message = new RegExp(`^capacity must be an integer from 1 to 16777216: got ${capacity}$`);
  return [`queue of capacity ${capacity}`, { run: () => queue({ capacity }), error: 'RangeError', message }] as const;
});

const codecs = Object.entries({
  i32: [2 ** 31, /^codec i32 carries whole numbers .*, not 2147483648$/],
  u32: [-1, /^codec u32 carries .*, not -1$/],
  f64: ['1', /^codec f64 carries numbers, not '1'$/],
  i64: [2n ** 63n, /^codec i64 carries .*, not 9223372036854775808n$/],
  bytes: [[1], /^codec bytes carries Uint8Arrays/],
  string: [5, /^codec string carries strings, not 5$/],
  json: [1n, /^codec json cannot carry the value: .*BigInt/],
  any: [() => {}, /^codec any /],
} as const).map(([name, [value, message]]) => {
  const through = codec[name as keyof typeof codec];
  const put = () => queue({ codec: through }).put(value);
  return [`what ${name} cannot carry`, { run: put, error: 'CodecError', code: 'ERR_CODEC', message }] as const;
});

const frees = Object.entries({
  lock: () => freed(mutex()).lock(),
  unlock: () => freed(mutex()).unlock(),
  lockAsync: () => freed(mutex()).lockAsync(),
  'lock of an rlock': () => freed(rlock()).lock(),
  'unlock of an rlock': () => freed(rlock()).unlock(),
  'read of an rwlock': () => freed(rwlock()).read.lock(),
  'write of an rwlock': () => freed(rwlock()).write.lock(),
  'unlock of a read': () => freed(reading()).read.unlock(),
  'unlock of a write': () => freed(writing()).write.unlock(),
  'wait on a condition': () => freed(condition()).wait(),
  'notify of a condition': () => freed(condition()).notify(),
  put: () => freed(queue()).put(1),
  get: () => freed(queue()).get(),
  close: () => freed(queue()).close(),
  size: () => freed(queue()).size,
  share: () => share(freed(queue())),
  free: () => freed(queue()).free(),
  acquire: () => freed(semaphore()).acquire(),
  release: () => freed(semaphore()).release(),
  set: () => freed(event()).set(),
  waitAsync: () => freed(event()).waitAsync(),
  countDown: () => freed(latch()).countDown(),
  'wait at a barrier': () => freed(barrier()).wait(),
  add: () => freed(value()).add(1),
  send: () => freed(ends()[0]).send(1),
  recv: () => freed(ends()[0]).recv(),
  'close of an end': () => freed(ends()[0]).close(),
  'recv at the other end': () => {
    const [one, other] = ends();
    freed(one);
    other.recv();
  },
  publish: () => freed(broadcast()).publish(1),
  subscribe: () => freed(broadcast()).subscribe(),
  'get of a subscription': () => freed(broadcast().subscribe()).get(),
  'get of a subscription to a broadcast': () => {
    const { all, one } = behind();
    freed(all);
    one.get();
  },
  select: () => select([queue(), freed(queue())]),
}).map(([name, use]) => {
  const row: Misuse = { run: use, error: 'InvalidHandleError', code: 'ERR_INVALID_HANDLE', message: /was freed$/ };
  return [`${name} after free`, row] as const;
});

function freed<T extends SharedObject>(object: T): T {
  object.free();
  return object;
}

const closes = Object.entries({
  put: () => closed().put(1),
  tryPut: () => closed().tryPut(1),
  putAsync: () => closed().putAsync(1),
  putMany: () => closed().putMany([1]),
  get: () => closed().get(),
  tryGet: () => closed().tryGet(),
  getAsync: () => closed().getAsync(),
  getMany: () => closed().getMany(1),
}).map(([name, use]) => {
  const row: Misuse = { run: use, error: 'ClosedError', code: 'ERR_CLOSED', message: /^queue "orders" is closed$/ };
  return [`${name} after close`, row] as const;
});

const hangUps = Object.entries({
  send: [() => hungUp().send(1), /^connection "phone" is closed$/],
  sendAsync: [() => hungUp().sendAsync(1), /^connection "phone" is closed$/],
  recv: [() => hungUp().recv(), /^connection "phone" is closed$/],
  recvAsync: [() => hungUp().recvAsync(), /^connection "phone" is closed$/],
  publish: [() => closing(broadcast()).publish(1), /^broadcast "prices" is closed$/],
  publishAsync: [() => closing(broadcast()).publishAsync(1), /^broadcast "prices" is closed$/],
  subscribe: [() => closing(broadcast()).subscribe(), /^broadcast "prices" is closed$/],
  'get of a subscription': [() => closing(broadcast().subscribe()).get(), /^subscription "prices" is closed$/],
  'poll of an end': [() => closing(ends()[0]).poll(), /^connection "phone" is closed$/],
} as const).map(([name, [run, message]]) => {
  const row: Misuse = { run, error: 'ClosedError', code: 'ERR_CLOSED', message };
  return [`${name} after it or the other end was closed`, row] as const;
});

function closing<T extends Broadcast | Subscription | Connection>(object: T): T {
  object.close();
  return object;
}

const handles = Object.entries({
  'of another version': [{ 'ringfence.handle': 99 }, /^a handle of layout 99, this library has \d+$/],
  'with an offset of nothing': [
    { offset: 128 },
    /^no object of kind \d+ at offset 128: the handle is forged or stale$/,
  ],
  'with an offset beyond the region': [{ offset: 2 ** 31 }, /forged or stale$/],
  'with an offset that is no number': [{ offset: 'a' }, /forged or stale$/],
  'with a negative offset': [{ offset: -1280 }, /forged or stale$/],
  'of another kind': [{ kind: 5 }, /forged or stale$/],
  'of an unknown kind': [{ kind: 77 }, /kind 77/],
  'with another serial': [{ serial: 12345 }, /forged|stale|freed/],
  'without a memory': [{ memory: undefined }, /^not a region/],
  'with a memory that is not shared': [
    { memory: new WebAssembly.Memory({ initial: 1, maximum: 1, shared: wrong(false) }) },
    /^not a region/,
  ],
  'with a memory of others': [
    { memory: new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }) },
    /^not a region: its first word is not of one$/,
  ],
} as const).map(([name, [change, message]]) => {
  const row: Misuse = { run: () => forge(change), error: 'InvalidHandleError', code: 'ERR_INVALID_HANDLE', message };
  return [`a handle ${name}`, row] as const;
});

const others: Record<string, Misuse> = {
  'queue without options': { run: () => new Queue(wrong(undefined)), error: 'TypeError', message: /options|capacity/ },
  'capacity as a string': {
    run: () => queue({ capacity: '5' }),
    error: 'TypeError',
    message: /^capacity must be a number: got "5"$/,
  },
  'blockBytes 1': {
    run: () => queue({ blockBytes: 1 }),
    error: 'RangeError',
    message: /^blockBytes must be an integer from 16 to 16777216: got 1$/,
  },
  'codec by name': {
    run: () => queue({ codec: 'i32' }),
    error: 'TypeError',
    message: /^codec must be one of codec\.\*: got "i32"$/,
  },
  'region that is none': {
    run: () => queue({ region: {} }),
    error: 'TypeError',
    message: /^region must be a Region: got an object \(Object\)$/,
  },
  'mutex in a region that is none': {
    run: () => new Mutex({ region: wrong(7) }),
    error: 'TypeError',
    message: /^region must be a Region: got 7$/,
  },
  'name that is no text': {
    run: () => new Mutex({ name: wrong(5) }),
    error: 'TypeError',
    message: /^name must be a string: got 5$/,
  },
  'signal that is none': {
    run: () => mutex().lockAsync({ signal: wrong(5) }),
    error: 'TypeError',
    message: /^signal must be an AbortSignal: got 5$/,
  },
  'putMany of one item': {
    run: () => queue().putMany(wrong(5)),
    error: 'TypeError',
    message: /^values must be array-like: got 5$/,
  },
  'getManyInto of an array of another kind': {
    run: () => new Queue({ capacity: 2, codec: codec.f64 }).getManyInto(new Int32Array(2)),
    error: 'TypeError',
    message: /^target must be of class Float64Array: got an object \(Int32Array\)$/,
  },
  'getManyIntoAsync of no array': {
    run: () => new Queue({ capacity: 2, codec: codec.i32 }).getManyIntoAsync(wrong([1, 2])),
    error: 'TypeError',
    message: /^target must be of class Int32Array: got an object \(Array\)$/,
  },
  'getManyInto of an array without a place': {
    run: () => new Queue({ capacity: 2, codec: codec.i32 }).getManyInto(new Int32Array(0)),
    error: 'RangeError',
    message: /^target must have a place for an item: got one of length 0$/,
  },
  'getManyInto of a queue of objects': {
    run: () => queue().getManyInto(wrong(new Int32Array(2))),
    error: 'TypeError',
    message: /^getManyInto needs a queue of numbers: queue "orders" is of codec.any$/,
  },
  'getMany of none': { run: () => queue().getMany(0), error: 'RangeError', message: /^max must be .* got 0$/ },
  'taskDone without an item': { run: () => queue().taskDone(), error: 'RangeError', message: /got 1, there are 0$/ },
  'release beyond max': {
    run: () => semaphore(1, 2).release(2),
    error: 'RangeError',
    message: /^the thread in slot 0 cannot release 2 to semaphore "seats": 1 are there, 2 are allowed$/,
  },
  'release without acquire, of a semaphore with max': {
    run: () => semaphore(2, 2).release(),
    error: 'RangeError',
    message: /^the thread in slot 0 cannot release 1 to semaphore "seats": 2 are there, 2 are allowed$/,
  },
  'release of more than 31 bits count': {
    run: () => semaphore(2 ** 31 - 1).release(),
    error: 'RangeError',
    message: /cannot release 1 to semaphore "seats": 2147483647 are there/,
  },
  'acquire of more than max': {
    run: () => semaphore(2, 2).acquire(3),
    error: 'RangeError',
    message: /^n must be an integer from 1 to 2: got 3$/,
  },
  'release of -1': { run: () => semaphore().release(-1), error: 'RangeError', message: /^n must be .* got -1$/ },
  'a semaphore of -1 permits': {
    run: () => semaphore(-1),
    error: 'RangeError',
    message: /^permits must be an integer from 0 to 2147483647: got -1$/,
  },
  'a semaphore with more permits than max': {
    run: () => semaphore(3, 2),
    error: 'RangeError',
    message: /^permits must be an integer from 0 to 2: got 3$/,
  },
  'a barrier of no parties': {
    run: () => new Barrier({ parties: 0 }),
    error: 'RangeError',
    message: /^parties must be an integer from 1 to \d+: got 0$/,
  },
  'wait at a barrier that is broken': {
    run: () => {
      const one = barrier();
      one.abort();
      one.wait();
    },
    error: 'BrokenBarrierError',
    code: 'ERR_BROKEN_BARRIER',
    message: /^barrier "phase" is broken$/,
  },
  'a latch of -1': {
    run: () => new Latch({ count: -1 }),
    error: 'RangeError',
    message: /^count must be an integer from 0 to 2147483647: got -1$/,
  },
  'countDown beyond zero': {
    run: () => latch().countDown(3),
    error: 'RangeError',
    message: /^the thread in slot 0 cannot count latch "loaded" down by 3: its count is 2$/,
  },
  'a value of no type': {
    run: () => value(wrong('i16')),
    error: 'TypeError',
    message: /^type must be one of i32, u32, i64, f64: got "i16"$/,
  },
  'a number that a value cannot hold': {
    run: () => value('u32').compareExchange(0, -1),
    error: 'RangeError',
    message: /^next must be an integer from 0 to 4294967295: got -1$/,
  },
  'a number in place of a bigint': {
    run: () => value('i64').add(1),
    error: 'TypeError',
    message: /^n must be a bigint: got 1$/,
  },
  'an update that makes no number': {
    run: () => value('f64').update(() => wrong(undefined)),
    error: 'TypeError',
    message: /^the result of fn must be a number: got undefined$/,
  },
  'a region of -1 bytes': {
    run: () => new Region({ bytes: -1 }),
    error: 'RangeError',
    message: /^bytes must be .* got -1$/,
  },
  'a region of 2^40 bytes': {
    run: () => new Region({ bytes: 2 ** 40 }),
    error: 'RangeError',
    message: /got 1099511627776$/,
  },
  'a region of no threads': {
    run: () => new Region({ threads: 0 }),
    error: 'RangeError',
    message: /^threads must be .* got 0$/,
  },
  'an array of -1 elements': {
    run: () => new Region().array(Int32Array, -1),
    error: 'RangeError',
    message: /^length must be .* got -1$/,
  },
  'an array of no type': {
    run: () => new Region().array(wrong('i32'), 1),
    error: 'TypeError',
    message: /^type must be a typed array constructor: got "i32"$/,
  },
  'more than the region has': {
    run: () => new Region({ bytes: 2 ** 20 }).array(Uint8Array, 2 ** 20),
    error: 'RegionFullError',
    code: 'ERR_REGION_FULL',
    message: /1048640 bytes were asked for, \d+ are left/,
  },
  'a message larger than the region': {
    run: () => queue({ region: new Region({ bytes: 2 ** 20 }) }).put('x'.repeat(2 ** 21)),
    error: 'MessageTooLargeError',
    code: 'ERR_MESSAGE_TOO_LARGE',
    message: /^a message of \d+ bytes does not fit: the region allows \d+$/,
  },
  'unlock of a free mutex': {
    run: () => mutex().unlock(),
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /cannot unlock mutex "stock": nobody holds it$/,
  },
  'unlock by another thread': {
    run: () => run(locking, 'unlockOnly', mutex().lock()),
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /cannot unlock mutex "stock": the thread in slot 0 holds it$/,
  },
  'an end of a pipe that another thread uses': {
    run: () => {
      const [one] = ends();
      one.send(1);
      return run(piping, 'takeOver', one);
    },
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /^the thread in slot 1 cannot recv on connection "phone": the thread in slot 0 uses it$/,
  },
  'a pipe of capacity 0': {
    run: () => ends({ capacity: 0 }),
    error: 'RangeError',
    message: /^capacity must .* got 0$/,
  },
  'a pipe with a codec by name': {
    run: () => ends({ codec: 'i32' }),
    error: 'TypeError',
    message: /^codec must be one of codec\.\*: got "i32"$/,
  },
  'a pipe with a number for options': {
    run: () => pipe(wrong(5)),
    error: 'TypeError',
    message: /^options must be an object: got 5$/,
  },
  'poll with a number': { run: () => ends()[0].poll(wrong(5)), error: 'TypeError', message: /^options .* got 5$/ },
  'a broadcast of capacity 0': {
    run: () => broadcast({ capacity: 0 }),
    error: 'RangeError',
    message: /^capacity must be an integer from 1 to 1048576: got 0$/,
  },
  'a broadcast that is slow in another way': {
    run: () => broadcast({ slow: 'drop' }),
    error: 'TypeError',
    message: /^slow must be 'wait' or 'skip': got "drop"$/,
  },
  'a broadcast with blocks of 1 byte': {
    run: () => broadcast({ blockBytes: 1 }),
    error: 'RangeError',
    message: /^blockBytes must be an integer from 16 to 16777216: got 1$/,
  },
  'a broadcast with a codec by name': {
    run: () => broadcast({ codec: 'i32' }),
    error: 'TypeError',
    message: /^codec must be one of codec\.\*: got "i32"$/,
  },
  'a broadcast for no subscribers': {
    run: () => broadcast({ subscribers: 0 }),
    error: 'RangeError',
    message: /^subscribers must be an integer from 1 to 4096: got 0$/,
  },
  'a broadcast without options': {
    run: () => new Broadcast(wrong(undefined)),
    error: 'TypeError',
    message: /options|capacity/,
  },
  'one subscription too many': {
    run: () => {
      const all = broadcast({ subscribers: 1 });
      all.subscribe();
      all.subscribe();
    },
    error: 'RangeError',
    message: /^subscribers must be more than 1 for one more subscription to broadcast "prices"$/,
  },
  'a message longer than a broadcast allows': {
    run: () => broadcast().publish('x'.repeat(1000)),
    error: 'MessageTooLargeError',
    code: 'ERR_MESSAGE_TOO_LARGE',
    message: /^a message of \d+ bytes does not fit: blockBytes of broadcast "prices" allows 248$/,
  },
  'what a broadcast cannot carry': {
    run: () => broadcast().publish(() => {}),
    error: 'CodecError',
    code: 'ERR_CODEC',
    message: /^codec any /,
  },
  'reserve in a queue of other items': {
    run: () => queue().reserve(1),
    error: 'TypeError',
    message: /^reserve needs a queue of codec\.bytes: queue "orders" is none$/,
  },
  'receive from a queue of other items': {
    run: () => queue().receive(),
    error: 'TypeError',
    message: /^receive needs a queue of codec\.bytes: queue "orders" is none$/,
  },
  'reserve nothing': {
    run: () => frames().reserve(0),
    error: 'RangeError',
    message: /^bytes must be an integer from 1 to 9007199254740991: got 0$/,
  },
  'reserve less than nothing': {
    run: () => frames().reserve(-5),
    error: 'RangeError',
    message: /^bytes must be an integer from 1 to 9007199254740991: got -5$/,
  },
  'reserve more than the region has': {
    run: () => frames().reserve(2 ** 40),
    error: 'MessageTooLargeError',
    code: 'ERR_MESSAGE_TOO_LARGE',
    message: /^a message of 1099511627776 bytes does not fit: the region allows \d+$/,
  },
  'commit twice': {
    run: () => {
      const one = frames();
      const reservation = one.reserve(1);
      one.commit(reservation);
      one.commit(reservation);
    },
    error: 'InvalidHandleError',
    code: 'ERR_INVALID_HANDLE',
    message: /^the reservation of queue "orders" was committed$/,
  },
  'release twice': {
    run: () => {
      const one = frames();
      one.put(new Uint8Array(1));
      const message = one.receive();
      message.release();
      message.release();
    },
    error: 'InvalidHandleError',
    code: 'ERR_INVALID_HANDLE',
    message: /^the message of queue "orders" was released$/,
  },
  'the bytes of a message that was released': {
    run: () => {
      const one = frames();
      one.put(new Uint8Array(1));
      const message = one.receive();
      one.release(message);
      return message.bytes;
    },
    error: 'InvalidHandleError',
    code: 'ERR_INVALID_HANDLE',
    message: /^the message of queue "orders" was released$/,
  },
  'commit to another queue': {
    run: () => queue({ codec: codec.bytes, name: 'others' }).commit(frames().reserve(1)),
    error: 'TypeError',
    message: /^reservation must be one of queue "others": got one of queue "orders"$/,
  },
  'produce for a queue of other items': {
    run: () => queue().produce(() => {}),
    error: 'TypeError',
    message: /^produce needs a queue of a codec\.struct that does not redeliver: queue "orders" is none$/,
  },
  'consume with what is no function': {
    run: () => structs().consume(wrong(5)),
    error: 'TypeError',
    message: /^use must be a function: got 5$/,
  },
  'a view after its function has returned': {
    run: () => {
      let kept = { x: 0 };
      structs().produce((view) => {
        kept = view;
      });
      return kept.x;
    },
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /^the view of a record was used after the function to which it was handed had returned$/,
  },
  'a field of a struct that is out of range': {
    run: () => structs().put({ x: 256 }),
    error: 'CodecError',
    code: 'ERR_CODEC',
    message: /^codec struct carries whole numbers from 0 to 255 \(-0 is not one\) in field x, not 256$/,
  },
  'a definition of a codec whose name is taken': {
    run: () => [point('twice'), point('twice')],
    error: 'TypeError',
    message: /^definition\.name must be one that is not taken: got "twice"$/,
  },
  'a definition of a codec without decode': {
    run: () => codec.define(wrong({ name: 'half', size: () => 1, encode: () => 1 })),
    error: 'TypeError',
    message: /^definition\.decode must be a function: got undefined$/,
  },
  'a codec that writes more than its size': {
    run: () => queue({ codec: codec.define({ name: 'over', size: () => 2, encode: () => 3, decode: () => 0 }) }).put(1),
    error: 'CodecError',
    code: 'ERR_CODEC',
    message: /^codec over must write from 0 to 2 bytes, its size, and return how many: got 3$/,
  },
  'a codec that throws': {
    run: () => queue({ codec: point('point') }).put(5),
    error: 'CodecError',
    code: 'ERR_CODEC',
    message: /^codec point cannot encode the value: /,
  },
  'a codec that the other thread does not define': {
    run: () => run(locking, 'visit', queue({ codec: point('unheard-of') })),
    error: 'CodecError',
    code: 'ERR_CODEC',
    message: /codec unheard-of is not defined in this thread: import the module that calls codec\.define/,
  },
  'select of nothing': {
    run: () => select([]),
    error: 'TypeError',
    message: /^sources must be a list of at least one: got an object \(Array\)$/,
  },
  'select of one queue without a list': {
    run: () => select(wrong(queue())),
    error: 'TypeError',
    message: /^sources must be a list of at least one: got an object \(Queue\)$/,
  },
  'select of a number': {
    run: () => select([full(), wrong(5)]),
    error: 'TypeError',
    message: /^sources\[1\] must be a Queue, a Connection, a Subscription or an Event: got 5$/,
  },
  'select over two regions': {
    run: () => select([queue(), queue({ region: new Region() })]),
    error: 'TypeError',
    message: /^sources\[1\] must live in the region of sources\[0\]$/,
  },
  'selectAsync with a signal that is none': {
    run: () => selectAsync([queue()], { signal: wrong(5) }),
    error: 'TypeError',
    message: /^signal must be an AbortSignal: got 5$/,
  },
  'lock twice': {
    run: () => mutex().lock().lock(),
    error: 'DeadlockError',
    code: 'ERR_DEADLOCK',
    message: /^mutex "stock" is held by this thread already/,
  },
  'lock inside with': {
    run: () => {
      const one = mutex();
      one.with(() => one.lock());
    },
    error: 'DeadlockError',
    code: 'ERR_DEADLOCK',
    message: /held by this thread already/,
  },
  'unlock of a free rlock': {
    run: () => rlock().unlock(),
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /^the thread in slot 0 cannot unlock rlock "deep": nobody holds it$/,
  },
  'unlock of an rlock more often than it was locked': {
    run: () => {
      const one = rlock().lock().lock();
      for (let entry = 0; entry < 3; entry++) one.unlock();
    },
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /^the thread in slot 0 cannot unlock rlock "deep": nobody holds it$/,
  },
  'unlock of an rlock by another thread': {
    run: () => run(sharing, 'unlockFace', { lock: rlock().lock().lock(), face: '' }),
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /cannot unlock rlock "deep": the thread in slot 0 holds it$/,
  },
  'unlock of a read that nobody holds': {
    run: () => rwlock().read.unlock(),
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /^the thread in slot 0 cannot unlock the read side of rwlock "prices": it holds none$/,
  },
  'unlock of a read of another thread': {
    run: () => run(sharing, 'unlockFace', { lock: reading(), face: 'read' }),
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /^the thread in slot 1 cannot unlock the read side of rwlock "prices": it holds none$/,
  },
  'unlock of a write by another thread': {
    run: () => run(sharing, 'unlockFace', { lock: writing(), face: 'write' }),
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /cannot unlock the write side of rwlock "prices": the thread in slot 0 holds it$/,
  },
  'unlock of a write while reading': {
    run: () => reading().write.unlock(),
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /cannot unlock the write side of rwlock "prices": nobody holds it$/,
  },
  'write while reading': {
    run: () => reading().write.lock(),
    error: 'DeadlockError',
    code: 'ERR_DEADLOCK',
    message: /^rwlock "prices" is held by this thread for reading \(slot 0\)$/,
  },
  'read while writing': {
    run: () => writing().read.lock(),
    error: 'DeadlockError',
    code: 'ERR_DEADLOCK',
    message: /^rwlock "prices" is held or awaited by this thread for writing \(slot 0\)$/,
  },
  'write while writing': {
    run: () => writing().write.lock(),
    error: 'DeadlockError',
    code: 'ERR_DEADLOCK',
    message: /^the write side of rwlock "prices" is held by this thread already/,
  },
  'wait on a condition without its lock': {
    run: () => condition(mutex()).wait(),
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /^the thread in slot 0 cannot wait on condition "filled" without mutex "stock": nobody holds it$/,
  },
  'notify of a condition without its lock': {
    run: () => condition(mutex()).notify(),
    error: 'NotOwnerError',
    code: 'ERR_NOT_OWNER',
    message: /^the thread in slot 0 cannot notify condition "filled" without mutex "stock": nobody holds it$/,
  },
  'notify of -1': {
    run: () => condition().notify(-1),
    error: 'RangeError',
    message: /^n must be an integer from 0 to 2147483647: got -1$/,
  },
  'notify of 1.5': { run: () => condition().notify(1.5), error: 'RangeError', message: /^n must be .* got 1\.5$/ },
  'waitFor a value': {
    run: () => condition().waitFor(wrong(true)),
    error: 'TypeError',
    message: /^predicate must be a function: got true$/,
  },
  'a condition of no lock': {
    run: () => new Condition(wrong({})),
    error: 'TypeError',
    message: /^mutex must be a Mutex or an RLock: got undefined$/,
  },
  'a condition of an rwlock': {
    run: () => new Condition({ mutex: wrong(rwlock()) }),
    error: 'TypeError',
    message: /^mutex must be a Mutex or an RLock: got an object \(RwLock\)$/,
  },
  'a condition in another region than its lock': {
    run: () => new Condition({ mutex: mutex(), region: new Region() }),
    error: 'TypeError',
    message: /^region must be that of mutex "stock": got another one$/,
  },
  'more threads than the region has slots': {
    run: () => run(locking, 'visit', new Mutex({ region: new Region({ threads: 1 }) })),
    error: 'TooManyThreadsError',
    code: 'ERR_TOO_MANY_THREADS',
    message: /^all 1 thread slots of the region are taken/,
  },
  'a shared object of another region in an item': {
    run: () => queue({ region: new Region() }).put(mutex()),
    error: 'CodecError',
    code: 'ERR_CODEC',
    message: /^codec any cannot carry a Mutex of another region$/,
  },
  'a worker module that does not exist': {
    run: () => run(new URL('./no-such-module.js', import.meta.url), 'f'),
    error: 'TaskError',
    code: 'ERR_TASK',
    message: /no-such-module\.js/,
  },
  'a worker module without the export': {
    run: () => run(tasks, 'cube'),
    error: 'TaskError',
    code: 'ERR_TASK',
    message: /tasks\.js has no function 'cube': it exports .*square/,
  },
  'an export that is no function': {
    run: () => run(tasks, 'notAFunction'),
    error: 'TaskError',
    code: 'ERR_TASK',
    message: /has no function 'notAFunction'/,
  },
  'a worker file with a syntax error': {
    run: () => withModule('export function f( {', 'f'),
    error: 'TaskError',
    code: 'ERR_TASK',
    message: /^cannot load the worker module .*work\.mjs: SyntaxError/,
  },
  'a worker file that throws while it loads': {
    run: () => withModule('throw new RangeError("at the top"); export function f() {}', 'f'),
    error: 'TaskError',
    code: 'ERR_TASK',
    message: /^cannot load the worker module .*: RangeError: at the top$/,
  },
  'a task that returns what cannot be cloned': {
    run: () => run(tasks, 'unclonable', 'inside'),
    error: 'TaskError',
    code: 'ERR_TASK',
    message: /^unclonable returned what cannot be cloned/,
  },
  'a payload that cannot be cloned': {
    run: () => run(tasks, 'square', () => {}),
    error: 'TaskError',
    code: 'ERR_TASK',
    message: /clone/,
  },
  'a task that ends its thread': {
    run: () => run(tasks, 'die', 'exit'),
    error: 'ThreadDiedError',
    code: 'ERR_THREAD_DIED',
    message: /./,
  },
  'run after close': {
    run: async () => {
      const pool = await newPool(tasks);
      await pool.close();
      await pool.run(1, { name: 'square' });
    },
    error: 'ClosedError',
    code: 'ERR_CLOSED',
    message: /closed$/,
  },
  'a pool of no threads': {
    run: () => newPool(tasks, { threads: 0 }),
    error: 'RangeError',
    message: /^threads must be .* got 0$/,
  },
  'a pool over no module': { run: () => newPool(wrong(5)), error: 'TypeError', message: /^module must be .* got 5$/ },
  'formatSnapshot of what is none': {
    run: () => formatSnapshot(wrong('all')),
    error: 'TypeError',
    message: /^snapshot must be what region.inspect\(\) gave: got "all"$/,
  },
  'run with timeout NaN': {
    run: () => run(tasks, 'square', 1, { timeout: Number.NaN }),
    error: 'RangeError',
    message: /^timeout must be .* got NaN$/,
  },
};

export const misuses: ReadonlyMap<string, Misuse> = new Map<string, Misuse>([
  ...capacities,
  ...timeouts,
  ...codecs,
  ...frees,
  ...closes,
  ...hangUps,
  ...handles,
  ...Object.entries(others),
]);

/** The child: rows of the table, one after another, in a process that must end by itself; a line for each. */
async function main(names: readonly string[]): Promise<void> {
  for (const name of names) {
    let outcome: Outcome = { error: 'none', message: 'nothing was thrown' };
    try {
      await misuses.get(name)?.run();
    } catch (thrown) {
      const { code, message } = thrown as RingfenceError;
      outcome = { error: (thrown as Error).constructor.name, code, message };
    }
    console.log(JSON.stringify(outcome));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
