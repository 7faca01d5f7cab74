import type { Codec } from '../queue/codec.ts';
import { type Line, Receiver } from './line.ts';
import { codecNamed, Message } from './message.ts';
import { type Later, Tickets } from './tickets.ts';

/** Where a stage takes its records. */
export class Inlet {
  readonly #receiver: Receiver;
  readonly #codec: Codec<unknown>;
  readonly #tickets: Tickets;

  constructor(line: Line) {
    this.#receiver = new Receiver(line);
    this.#codec = codecNamed(line.codec, line.queue.region);
    this.#tickets = new Tickets(line.reports);
  }

  /** Whether it waits in promises and does not block the thread. */
  get patient(): boolean {
    return this.#receiver.patient;
  }

  set patient(patient: boolean) {
    this.#receiver.patient = patient;
  }

  /** A message that is there now. Throws STOPPED. */
  tryTake(): Message | undefined {
    return this.#read(this.#receiver.tryTake());
  }

  /** The next message, or nothing after the last one; blocks. Throws STOPPED. */
  takeNow(): Message | undefined {
    return this.#read(this.#receiver.takeNow());
  }

  /** The next message, or nothing after the last one; blocks, or waits in the promise. Throws STOPPED. */
  async take(): Promise<Message | undefined> {
    return this.#read(await this.#receiver.take());
  }

  /** Says that the sink has accepted a message. Throws STOPPED. */
  accept({ ticket }: Message): Later {
    return this.#tickets.release(ticket, this.patient);
  }

  #read(bytes: Uint8Array | undefined): Message | undefined {
    return bytes && new Message(bytes, this.#codec);
  }
}
