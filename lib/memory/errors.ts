/**
 * Every error of the library, each with a `code` that stays stable across versions and survives
 * the way through `postMessage` (where a class does not).
 *
 * An outcome that a caller must expect is one of these; an argument that cannot be meant is a `TypeError` or a
 * `RangeError` that names the argument, the value and what is allowed.
 */
export class RingfenceError extends Error {
  /** Stable, for `switch`; the message is for people and may change. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  override get name(): string {
    return this.constructor.name;
  }
}

/** The time given by `timeout` is over; nothing was taken, put or changed. */
export class TimeoutError extends RingfenceError {
  constructor(what: string, timeout: number) {
    super('ERR_TIMEOUT', `${what} timed out after ${timeout} ms`);
  }
}

/** The object was closed by `close()`, and nothing is left in it. */
export class ClosedError extends RingfenceError {
  constructor(what: string) {
    super('ERR_CLOSED', `${what} is closed`);
  }
}

/** A thread released what it does not hold, or used what belongs to another thread. */
export class NotOwnerError extends RingfenceError {
  constructor(message: string) {
    super('ERR_NOT_OWNER', message);
  }
}

/** The owner of the lock ended while it held it, so what the lock guards may be half changed; see `recover`. */
export class OwnerDiedError extends RingfenceError {
  constructor(message: string) {
    super('ERR_OWNER_DIED', message);
  }
}

/** The wait could never have ended: each would have waited for the other. */
export class DeadlockError extends RingfenceError {
  constructor(message: string) {
    super('ERR_DEADLOCK', message);
  }
}

/** Somebody whom a barrier waited for gave up, or it was aborted or reset; `reset()` makes it usable again. */
export class BrokenBarrierError extends RingfenceError {
  constructor(what: string) {
    super('ERR_BROKEN_BARRIER', `${what} is broken`);
  }
}

/** The region has no free piece that is large enough. */
export class RegionFullError extends RingfenceError {
  constructor(asked: number, largest: number, left: number) {
    super(
      'ERR_REGION_FULL',
      `the region is full: ${asked} bytes were asked for, ${left} are left, the largest piece of them ${largest}`,
    );
  }
}

/** More threads use the region than its table has slots. */
export class TooManyThreadsError extends RingfenceError {
  constructor(threads: number) {
    super('ERR_TOO_MANY_THREADS', `all ${threads} thread slots of the region are taken: see new Region({ threads })`);
  }
}

/** The message needs more bytes than the region could ever give, or than a broadcast allows; nothing was sent. */
export class MessageTooLargeError extends RingfenceError {
  constructor(bytes: number, allowed: number, limit = 'the region') {
    super('ERR_MESSAGE_TOO_LARGE', `a message of ${bytes} bytes does not fit: ${limit} allows ${allowed}`);
  }
}

/** The codec cannot carry the value; nothing was sent. */
export class CodecError extends RingfenceError {
  /** The field of a struct that does not fit, as `price` or `place.lat` or `corners[2]`; absent where it is none. */
  declare readonly field?: string;

  constructor(codec: string, message: string, { field, ...options }: ErrorOptions & { field?: string } = {}) {
    super('ERR_CODEC', `codec ${codec} ${message}`, options);
    if (field !== undefined) this.field = field;
  }
}

/** The handle is forged, stale, from another version, or its object was freed. */
export class InvalidHandleError extends RingfenceError {
  constructor(message: string) {
    super('ERR_INVALID_HANDLE', message);
  }
}

/** A task could not be run or its result could not be sent; `cause` holds the reason. */
export class TaskError extends RingfenceError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_TASK', message, options);
  }
}

/** The thread that ran the task ended before the task did. */
export class ThreadDiedError extends RingfenceError {
  constructor(message: string, options?: ErrorOptions) {
    super('ERR_THREAD_DIED', message, options);
  }
}

/** A record failed in a stage of a pipeline, or the source did; `cause` holds why. */
export class StageError extends RingfenceError {
  /** The name of the stage. */
  readonly stage: string;
  /** Which of the records that came to the stage it was, from 0 on. */
  readonly record: number;
  /** The field of the record, if its codec says one. */
  declare readonly field?: string;

  constructor(stage: string, record: number, cause: unknown) {
    super('ERR_STAGE', `stage ${show(stage)} failed at record ${record}: ${cause}`, { cause });
    this.stage = stage;
    this.record = record;
    if (cause instanceof CodecError && cause.field !== undefined) this.field = cause.field;
  }
}

/** Throws unless `value` is an integer in [least, most]; the error names the argument, the value and what is allowed. */
export function requireInteger(argument: string, value: unknown, least: number, most: number): asserts value is number {
  if (typeof value !== 'number') throw new TypeError(`${argument} must be a number: got ${show(value)}`);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${argument} must be an integer from ${least} to ${most}: got ${value}`);
  }
}

/** The timeout in milliseconds, Infinity when none was given; throws for what no wait can mean. */
export function requireTimeout(value: unknown): number {
  if (value === undefined) return Number.POSITIVE_INFINITY;
  if (typeof value !== 'number') throw new TypeError(`timeout must be a number of milliseconds: got ${show(value)}`);
  if (!(value >= 0)) throw new RangeError(`timeout must be 0 or more milliseconds, or Infinity: got ${value}`);
  return value;
}

/** Throws unless `value` is an object: options that are a number, say, were meant as something else. */
export function requireOptions(value: unknown): void {
  if (typeof value !== 'object' || value === null) throw new TypeError(`options must be an object: got ${show(value)}`);
}

/** A short form of any value, for messages. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'object' && value !== null) return `an object (${value.constructor?.name ?? 'no prototype'})`;
  if (typeof value === 'bigint') return `${value}n`;
  if (Object.is(value, -0)) return '-0';
  return typeof value === 'function' ? `a function (${value.name || 'anonymous'})` : String(value);
}
