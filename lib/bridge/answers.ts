/**
 * Answers: to the requests of one client, some of which wait for long. Each is answered once, also one that is cancelled:
 * with an error, unless it was through before. When the client is gone all are cancelled, and nothing is answered any more.
 */
import { RingfenceError } from '../memory/errors.ts';
import { ANSWER, CANCELLED, FAILED, type FrameWriter, ProtocolError, type Rest, type Terms } from './frame.ts';
import { packError } from './parcel.ts';

const MOST_REQUESTS = 65_536; // of one client at a time

/** The end of a wait whose client does not wait any more. */
export class Cancelled extends RingfenceError {
  constructor() {
    super(CANCELLED, 'the client does not wait for it any more');
  }
}

export class Answers {
  readonly writer: FrameWriter;
  readonly terms: Terms;
  gone = false;
  readonly #waiting = new Map<number, () => void>(); // and what cancels them

  constructor(writer: FrameWriter, terms: Terms) {
    this.writer = writer;
    this.terms = terms;
  }

  /** A request waits from now on until it is answered. */
  begin(request: number, cancel: () => void): void {
    if (this.#waiting.has(request)) throw new ProtocolError(`request ${request} is under way already`);
    if (this.#waiting.size >= MOST_REQUESTS) throw new ProtocolError(`more than ${MOST_REQUESTS} requests at a time`);
    this.#waiting.set(request, cancel);
  }

  answer(request: number, rest?: Rest): void {
    this.#waiting.delete(request);
    if (!this.gone) this.writer.frame(ANSWER, request, rest);
  }

  fail(request: number, error: unknown): void {
    this.#waiting.delete(request);
    if (!this.gone) this.writer.frame(FAILED, request, { body: packError(error) });
  }

  /** Runs what takes long, with a signal that aborts when the client cancels it, and answers with what `answer` does, or with the error. */
  wait<R>(request: number, run: (signal: AbortSignal) => Promise<R>, answer: (result: R) => void): void {
    const controller = new AbortController();
    this.begin(request, () => controller.abort(new Cancelled()));
    run(controller.signal).then(
      (result) => {
        this.#waiting.delete(request);
        if (!this.gone) answer(result);
      },
      (error) => this.fail(request, error),
    );
  }

  cancel(request: number): void {
    this.#waiting.get(request)?.();
  }

  /** The client is gone. */
  leave(): void {
    this.gone = true;
    for (const cancel of this.#waiting.values()) cancel();
    this.#waiting.clear();
  }
}
