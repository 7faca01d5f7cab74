import { requireTimeout, TimeoutError } from '../memory/errors.ts';
import { type AsyncWaitOptions, allowListeners, LONGEST_TIMER, requireSignal } from '../memory/wait.ts';

/**
 * A `timeout` and an `AbortSignal` as one signal, for one wait of one caller.
 *
 * Throws at once: what was wrong with the options, or the reason of a signal that is aborted already.
 * `clear` must run when the wait is over, so that neither a timer nor a listener stays behind.
 */
export class Deadline {
  /** Aborts with a `TimeoutError` or with the caller's reason; absent if neither can ever happen. */
  readonly signal: AbortSignal | undefined;
  readonly clear: () => void = () => {};

  constructor(what: string, { timeout: given, signal }: AsyncWaitOptions) {
    const timeout = requireTimeout(given);
    requireSignal(signal);
    signal?.throwIfAborted();
    if (!signal && timeout > LONGEST_TIMER) return;
    const controller = new AbortController();
    this.signal = controller.signal;
    const abort = () => controller.abort(signal?.reason);
    const expire = () => controller.abort(new TimeoutError(what, timeout));
    const timer = timeout > LONGEST_TIMER ? undefined : setTimeout(expire, timeout);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal) allowListeners(signal);
    this.clear = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
  }
}

/** What `promise` gives, unless its deadline comes first. */
export async function within<T>(promise: Promise<T>, what: string, options: AsyncWaitOptions): Promise<T> {
  const { signal, clear } = new Deadline(what, options);
  if (!signal) return promise;
  try {
    return await new Promise<T>((resolve, reject) => {
      promise.then(resolve, reject);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  } finally {
    clear();
  }
}
