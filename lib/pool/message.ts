import { MessageChannel, type MessagePort, type Transferable } from 'node:worker_threads';
import { type Shared, share } from '../memory/handles.ts';

/** How piscina marks what `move()` returned; both symbols are registered globally, as public names. */
export const TRANSFERABLE: unique symbol = Symbol.for('Piscina.transferable');
export const MOVED_VALUE: unique symbol = Symbol.for('Piscina.valueOf');

/** What piscina's `move()` made: a value to be moved and not copied. */
export interface Moved {
  readonly [TRANSFERABLE]: Transferable | readonly Transferable[];
  readonly [MOVED_VALUE]: unknown;
}

export function isMoved(value: unknown): value is Moved {
  return typeof value === 'object' && value !== null && TRANSFERABLE in value && MOVED_VALUE in value;
}

/** What has to move with it. */
export function transfersOf(moved: Moved): readonly Transferable[] {
  return [moved[TRANSFERABLE]].flat();
}

/** A value with handles in place of its shared objects, or why no message can carry it. */
export function sendable<T>(value: T): { readonly sent: Shared<T> } | { readonly refusal: Error } {
  try {
    const sent = share(value);
    sink ??= closedPort();
    sink.postMessage(sent);
    return { sent };
  } catch (refusal) {
    return { refusal: refusal as Error };
  }
}

let sink: MessagePort | undefined;

/**
 * A port serializes a message before it finds that nobody listens: half the price of a structured clone, and nothing is
 * kept.
 */
function closedPort(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  return port1;
}

/**
 * Names a buffer that was moved before. Node would send it, the message could not be read, and nobody would ever hear
 * of it.
 */
export function whyNotMovable(transfers: readonly Transferable[]): Error | undefined {
  const gone = transfers.some((one) => one instanceof ArrayBuffer && isDetached(one));
  return gone ? new DOMException('An ArrayBuffer is detached: it was moved before', 'DataCloneError') : undefined;
}

function isDetached(buffer: ArrayBuffer): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}
