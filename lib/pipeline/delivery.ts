/** Delivery: a queue beyond this process as the sink of a pipeline. Messages are put while others are on their way. */
import type { AsyncQueue } from '../bridge/faces.ts';
import { CodecError, MessageTooLargeError } from '../memory/errors.ts';
import { type Gauge, RECORD } from './gauge.ts';
import { type Line, STOPPED } from './line.ts';
import type { Outlet } from './outlet.ts';
import type { Stage } from './stage.ts';
import { type Later, Tickets } from './tickets.ts';

const UNDER_WAY = 512; // records

/** Records that go together, and their numbers. */
interface Parcel {
  readonly ticket: number;
  readonly values: unknown[];
  readonly records: number[];
}

export class Delivery implements Outlet {
  /** It never blocks. */
  readonly patient = true;
  readonly #queue: AsyncQueue;
  readonly #stage: Stage;
  readonly #gauge: Gauge;
  readonly #tickets: Tickets;
  readonly #signal: AbortSignal;
  readonly #fail: (error: unknown) => void;
  readonly #parcels = new Set<Promise<void>>();
  #parcel: Parcel = { ticket: 0, values: [], records: [] };
  #underWay = 0;
  #failed = false;

  /** `fail` hears of what stops the pipeline, and the signal of any stop. */
  constructor(
    queue: AsyncQueue,
    stage: Stage,
    gauge: Gauge,
    line: Line,
    signal: AbortSignal,
    fail: (error: unknown) => void,
  ) {
    this.#queue = queue;
    this.#stage = stage;
    this.#gauge = gauge;
    this.#tickets = new Tickets(line.reports);
    this.#signal = signal;
    this.#fail = fail;
  }

  put(value: unknown): Later {
    this.#parcel.values.push(value);
    this.#parcel.records.push(this.#gauge[RECORD] as number);
    return undefined;
  }

  blank(): undefined {}

  over(): void {}

  begin(_sequence: number, ticket: number): void {
    this.#parcel = { ticket, values: [], records: [] };
  }

  end(): Later {
    if (this.#failed) throw STOPPED;
    const { length } = this.#parcel.values;
    this.#underWay += length;
    const sending: Promise<void> = this.#send(this.#parcel)
      .catch((error) => this.#stop(error))
      .then(() => {
        this.#underWay -= length;
        this.#parcels.delete(sending);
      });
    this.#parcels.add(sending);
    return this.#underWay < UNDER_WAY ? undefined : this.#room();
  }

  /** It sends by itself. */
  flush(): Later {
    return undefined;
  }

  async finish(): Promise<void> {
    await Promise.all(this.#parcels);
    if (this.#failed) throw STOPPED;
  }

  async #room(): Promise<void> {
    const from = performance.now();
    while (this.#underWay >= UNDER_WAY) await Promise.race(this.#parcels);
    this.#stage.waited(performance.now() - from);
  }

  #stop(error: unknown): void {
    this.#failed = true;
    this.#fail(error);
  }

  /** Only when all of them are in the queue, or left out, is the ticket released. */
  async #send({ ticket, values, records }: Parcel): Promise<void> {
    for (let from = 0; from < values.length; ) {
      try {
        await this.#queue.putManyAsync(from === 0 ? values : values.slice(from), { signal: this.#signal });
        break;
      } catch (error) {
        from = await this.#leaveOut(error, from, records);
      }
    }
    await this.#tickets.release(ticket, true);
  }

  /** A record that cannot be sent is one that failed; a queue that is closed or out of reach ends the pipeline, whatever the policy. */
  async #leaveOut(error: unknown, from: number, records: readonly number[]): Promise<number> {
    const { done } = Object(error) as { done?: number };
    const isOfRecord = error instanceof CodecError || error instanceof MessageTooLargeError;
    if (error === STOPPED) throw error;
    const at = from + (done ?? 0);
    const record = records[at] as number;
    if (!isOfRecord || done === undefined) throw this.#stage.errorOf(record, error);
    await this.#stage.fail(record, error);
    return at + 1;
  }
}
