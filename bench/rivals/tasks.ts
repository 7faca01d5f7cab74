import { work } from '../work.ts';

// The tasks that every pool is given. An ordinary module: what ringfence, piscina and tinypool take as it is.

/** Turns of `work` in a microsecond. */
const MICROSECOND = 160;

export interface Order {
  readonly id: number;
  readonly name: string;
  readonly country: string;
  readonly latitude: number;
  readonly longitude: number;
  readonly capital: boolean;
}

export function trivial(x: number): number {
  return x + 1;
}

export function short(x: number): number {
  work(10 * MICROSECOND);
  return x + 1;
}

export function long(x: number): number {
  work(1000 * MICROSECOND);
  return x + 1;
}

export function object(order: Order): Order {
  return { ...order, id: order.id + 1 };
}
