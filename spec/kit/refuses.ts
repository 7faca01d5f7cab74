import * as assert from 'uvu/assert';

type Class = abstract new (...args: never[]) => Error;

/** What `run` throws: an error of exactly this class whose message matches. */
export function refuses(run: () => unknown, type: Class, message: RegExp | string = ''): Error & { code?: string } {
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    return isRefusal(error, type, message);
  }
  throw new Error(`expected ${type.name}, and it returned ${String(result)}`);
}

/** What the promise rejects with: an error of exactly this class whose message matches. */
export function refusesLater(
  promise: Promise<unknown>,
  type: Class,
  message: RegExp | string = '',
): Promise<Error & { code?: string }> {
  return promise.then(
    (value) => Promise.reject(new Error(`expected ${type.name}, and it gave ${String(value)}`)),
    (reason) => isRefusal(reason, type, message),
  );
}

function isRefusal(error: unknown, type: Class, message: RegExp | string): Error {
  assert.is((error as Error)?.constructor, type, String((error as Error)?.stack));
  assert.match((error as Error).message, message);
  return error as Error;
}
