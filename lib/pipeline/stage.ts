import { StageError } from '../memory/errors.ts';
import { type Failure, pack } from '../pool/failure.ts';
import type { Queue } from '../queue/queue.ts';
import { add, FAILED, type Gauge, type Gauged, IN, RECORD, Stopwatch } from './gauge.ts';
import type { Inlet } from './inlet.ts';
import { STOPPED } from './line.ts';
import type { Message } from './message.ts';
import type { Outlet } from './outlet.ts';
import { Share } from './pump.ts';
import type { Step } from './steps.ts';
import type { Later } from './tickets.ts';

/** What becomes of a record that fails. */
export type ErrorPolicy = 'stop' | 'skip' | 'collect';

/** How a stage deals with its records. */
export interface Conduct {
  readonly name: string;
  readonly errors: ErrorPolicy;
  /** How often a record that failed is tried again. */
  readonly retries: number;
  /** Whether its function gets records as views, where they can be. */
  readonly views: boolean;
  /** Whether somebody watches how long a record takes. */
  readonly timed: boolean;
  /** Where failures go that are collected. */
  readonly failures: Queue<Failure>;
}

/** The work of one thread of a stage: its records one after the other, until there are no more. */
export class Stage {
  readonly #conduct: Conduct;
  readonly #gauge: Gauge;
  readonly #watch: Stopwatch;
  #step: Step = () => undefined;
  /** Something had to be awaited: from then on the thread sleeps in its event loop. */
  #patient = false;

  constructor(conduct: Conduct, gauged: Gauged) {
    this.#conduct = conduct;
    this.#gauge = gauged.gauge;
    this.#watch = new Stopwatch(gauged, conduct.timed);
  }

  /** Hears of the time that went by waiting for room. */
  readonly waited = (milliseconds: number): void => this.#watch.skip(milliseconds);

  /** Resolves when the input has ended and the output is sent. Rejects with STOPPED, or with a StageError. */
  async run(step: Step, inlet: Inlet, outlet?: Outlet): Promise<void> {
    this.#step = step;
    const share = inlet.patient ? new Share() : undefined;
    for (;;) {
      let message = inlet.tryTake();
      if (!message) {
        await outlet?.flush();
        message = await inlet.take();
      }
      if (!message) break;
      await this.#work(message, inlet, outlet);
      if (this.#patient) inlet.patient = true;
      if (share) await share.over();
    }
    await outlet?.finish();
  }

  async #work(message: Message, inlet: Inlet, outlet: Outlet | undefined): Promise<void> {
    this.#watch.begin();
    outlet?.begin(message.sequence, message.ticket);
    while (message.more) {
      this.#watch.enter();
      const later = this.#one(message);
      if (later) {
        this.#patient = true;
        if (outlet) outlet.patient = true;
        await later;
      }
      if (this.#conduct.views) {
        message.over();
        outlet?.over();
      }
      this.#watch.leave();
    }
    await (outlet ? outlet.end() : inlet.accept(message));
    this.#watch.end(message.count);
    message.recycle();
  }

  #one(message: Message): Later {
    const { record } = message;
    this.#gauge[RECORD] = record;
    add(this.#gauge, IN, 1);
    let value: unknown;
    try {
      value = message.next();
    } catch (error) {
      return this.fail(record, error);
    }
    return this.#attempt(record, value, this.#conduct.retries);
  }

  #attempt(record: number, value: unknown, left: number): Later {
    try {
      const later = this.#step(value);
      return later && this.#attempted(later, record, value, left);
    } catch (error) {
      return this.#again(record, value, left, error);
    }
  }

  async #attempted(later: Promise<void>, record: number, value: unknown, left: number): Promise<void> {
    try {
      await later;
    } catch (error) {
      await this.#again(record, value, left, error);
    }
  }

  #again(record: number, value: unknown, left: number, error: unknown): Later {
    if (error === STOPPED) throw error;
    return left > 0 ? this.#attempt(record, value, left - 1) : this.fail(record, error);
  }

  /** Does with a record that failed what the policy says. Throws StageError. */
  fail(record: number, cause: unknown): Later {
    const { errors, failures } = this.#conduct;
    add(this.#gauge, FAILED, 1);
    if (errors === 'skip') return undefined;
    const error = this.errorOf(record, cause);
    if (errors === 'stop') throw error;
    return failures.putAsync(pack(error)).catch(() => {
      throw STOPPED; // it is closed by a stop only
    });
  }

  errorOf(record: number, cause: unknown): StageError {
    return new StageError(this.#conduct.name, record, cause);
  }
}
