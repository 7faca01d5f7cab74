import type { Value } from '../sync/value.ts';
import type { Gauge } from './gauge.ts';
import type { Line } from './line.ts';
import type { Numbers } from './message.ts';
import { BatchOutlet, FreeOutlet, OrderedOutlet, type Outlet } from './outlet.ts';
import { Tickets } from './tickets.ts';
import { Turns, type TurnWords } from './turns.ts';

/** Where a thread gives its records. */
export interface Output {
  readonly line: Line;
  /** The gauges of the threads behind, if there are such. */
  readonly consumers: Float64Array | undefined;
  /** For several threads that keep the order. */
  readonly turns: TurnWords | undefined;
  /** For several threads that do not: how many records they have given. */
  readonly given: Value<'f64'> | undefined;
  /** How many records are grouped into one, 0 for none. */
  readonly batch: number;
}

/** @param waited hears of the milliseconds without room */
export function outletOf(output: Output, gauge: Gauge, waited?: (milliseconds: number) => void): Outlet {
  const { line, turns, consumers, given, batch } = output;
  const outlet = turns
    ? new OrderedOutlet(line, gauge, new Turns(turns, line), waited)
    : new FreeOutlet(line, gauge, consumers, given ? together(given) : alone(), waited);
  return batch > 0 ? new BatchOutlet(outlet, batch, new Tickets(line.reports)) : outlet;
}

/** The numbers of the messages of one thread. */
function alone(): (count: number) => Numbers {
  let [next, before] = [0, 0];
  return (count) => {
    before += count;
    return { sequence: next++, first: before - count };
  };
}

/** Those of several threads without an order: the sequence means nothing. */
function together(given: Value<'f64'>): (count: number) => Numbers {
  return (count) => ({ sequence: 0, first: given.add(count) });
}
