import { statSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

test('the module has at most 14 KB', () => {
  const { size } = statSync(new URL('../lib/kernel/kernel.wasm', import.meta.url));
  assert.ok(size <= 14 * 1024, `${size} bytes`);
});

test.run();
