import { inspect, types } from 'node:util';
import * as library from '../memory/errors.ts';
import { sendable } from './message.ts';

/**
 * What a task threw, as plain data.
 *
 * Structured clone alone would keep the message and the stack, and lose the class, the name of a class of the user's
 * and every own property, `code` first of all. It would also refuse the whole error for one function in it.
 */
export interface Failure {
  readonly failure: Packed;
}

type Packed = { readonly value: unknown } | PackedError;

interface PackedError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** One of this library's own classes, and not a namesake. */
  readonly own: boolean;
  readonly properties: Record<string, unknown>;
  readonly cause?: Packed;
  readonly errors?: readonly Packed[];
}

/** Properties that have a place of their own in `PackedError`. */
const NAMED = new Set(['name', 'message', 'stack', 'cause', 'errors']);
const BUILT_IN = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, AggregateError];
const builtIn = new Map<string, Error>(BUILT_IN.map((type) => [type.name, type.prototype]));
const libraryOwn = new Map<string, Error>(Object.entries(library).map(([name, type]) => [name, type.prototype]));

/** In the thread that failed. */
export function pack(thrown: unknown): Failure {
  return { failure: packed(thrown, new Set()) };
}

/**
 * On the other side: an error of the same class if this library or the language knows it, else an `Error` of that name.
 */
export function unpack({ failure }: Failure): unknown {
  return unpacked(failure);
}

export function isFailure(value: unknown): value is Failure {
  return typeof value === 'object' && value !== null && 'failure' in value && !isError(value);
}

function packed(thrown: unknown, above: ReadonlySet<unknown>): Packed {
  if (above.has(thrown)) return { value: '[Circular]' };
  const inside = new Set(above).add(thrown);
  if (isError(thrown)) return packedError(thrown, inside);
  const carried = sendable(thrown);
  if ('sent' in carried) return { value: carried.sent };
  const message = `the task threw what cannot be cloned: ${inspect(thrown)}`;
  return packed(new library.TaskError(message, { cause: carried.refusal }), inside);
}

function packedError(error: Error, inside: ReadonlySet<unknown>): PackedError {
  const properties: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(error)) {
    const carried = sendable(value);
    if (!NAMED.has(key) && 'sent' in carried) properties[key] = carried.sent;
  }
  return {
    name: String(error.name),
    message: String(error.message),
    stack: typeof error.stack === 'string' ? error.stack : undefined,
    own: error instanceof library.RingfenceError,
    properties,
    ...('cause' in error && { cause: packed(error.cause, inside) }),
    ...(error instanceof AggregateError && { errors: error.errors.map((one) => packed(one, inside)) }),
  };
}

function unpacked(from: Packed): unknown {
  if ('value' in from) return from.value;
  const error = new Error(from.message);
  const prototype = (from.own ? libraryOwn : builtIn).get(from.name);
  if (prototype) Object.setPrototypeOf(error, prototype);
  if (error.name !== from.name) hide(error, 'name', from.name);
  hide(error, 'stack', from.stack);
  if (from.cause) hide(error, 'cause', unpacked(from.cause));
  if (from.errors) hide(error, 'errors', from.errors.map(unpacked));
  return Object.assign(error, from.properties);
}

/** As the language itself defines the parts of an error: there, and not enumerable. */
function hide(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, configurable: true, writable: true });
}

/** An error of another realm (`node:vm`) is one too. */
function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}
