import { statSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

test('the module has at most 15 KB', () => {
  const { size } = statSync(new URL('../lib/kernel/kernel.wasm', import.meta.url));
  assert.ok(size <= 15 * 1024, `${size} bytes`);
});

test.run();
