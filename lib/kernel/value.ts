/**
 * Value: one number that is read and changed in one step.
 *
 * Each operation is one atomic instruction, but for the sum of floating-point numbers: 1. read the bits 2. add 3. compare-
 * exchange the bits, or from 2 with those that it found.
 *
 * Bits that are to be a floating-point number are read by an instruction that changes nothing: of an atomic load whose result
 * is reinterpreted, the optimizer makes a plain load of the other type, and a second load where the bits are used, too.
 *
 * Floating-point numbers are compared by their bits. Only one of the many NaNs is ever stored, so that NaN equals NaN; 0 and
 * -0 are two numbers.
 */
import { VALUE_WORD } from './layout';

export function valueLoad(v: usize): i32 {
  return atomic.load<i32>(v, VALUE_WORD);
}

export function valueStore(v: usize, next: i32): void {
  atomic.store<i32>(v, next, VALUE_WORD);
}

/** The number before. */
export function valueAdd(v: usize, n: i32): i32 {
  return atomic.add<i32>(v, n, VALUE_WORD);
}

/** The number before; `next` was stored if it is `expected`. */
export function valueExchange(v: usize, expected: i32, next: i32): i32 {
  return atomic.cmpxchg<i32>(v, expected, next, VALUE_WORD);
}

export function valueLoad64(v: usize): i64 {
  return atomic.load<i64>(v, VALUE_WORD);
}

export function valueStore64(v: usize, next: i64): void {
  atomic.store<i64>(v, next, VALUE_WORD);
}

export function valueAdd64(v: usize, n: i64): i64 {
  return atomic.add<i64>(v, n, VALUE_WORD);
}

export function valueExchange64(v: usize, expected: i64, next: i64): i64 {
  return atomic.cmpxchg<i64>(v, expected, next, VALUE_WORD);
}

function bits(n: f64): i64 {
  return reinterpret<i64>(F64.isNaN(n) ? NaN : n);
}

export function valueLoadF64(v: usize): f64 {
  return reinterpret<f64>(bitsAt(v));
}

function bitsAt(v: usize): i64 {
  return atomic.or<i64>(v, 0, VALUE_WORD);
}

export function valueStoreF64(v: usize, next: f64): void {
  atomic.store<i64>(v, bits(next), VALUE_WORD);
}

export function valueAddF64(v: usize, n: f64): f64 {
  let seen = bitsAt(v);
  while (true) {
    const before = reinterpret<f64>(seen);
    const found = atomic.cmpxchg<i64>(v, seen, bits(before + n), VALUE_WORD);
    if (found === seen) return before;
    seen = found;
  }
}

export function valueExchangeF64(v: usize, expected: f64, next: f64): f64 {
  return reinterpret<f64>(atomic.cmpxchg<i64>(v, bits(expected), bits(next), VALUE_WORD));
}
