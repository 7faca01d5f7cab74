// Builds everything into dist/: the kernel by AssemblyScript, the rest by TypeScript.
import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import asc from 'assemblyscript/asc';

const KERNEL_BUDGET = 14 * 1024; // bytes of dist/lib/kernel/kernel.wasm
const kernel = 'dist/lib/kernel/kernel.wasm';
const kernelSources = [
  'lib/kernel/pieces.ts',
  'lib/kernel/waiters.ts',
  'lib/kernel/waits.ts',
  'lib/kernel/lock.ts',
  'lib/kernel/rlock.ts',
  'lib/kernel/rwlock.ts',
  'lib/kernel/condition.ts',
  'lib/kernel/semaphore.ts',
  'lib/kernel/event.ts',
  'lib/kernel/barrier.ts',
  'lib/kernel/latch.ts',
  'lib/kernel/value.ts',
  'lib/kernel/ring.ts',
  'lib/kernel/records.ts',
  'lib/kernel/blocks.ts',
  'lib/kernel/redelivery.ts',
  'lib/kernel/pipe.ts',
  'lib/kernel/broadcast.ts',
];

await buildKernel();
buildTypeScript();

async function buildKernel() {
  mkdirSync(dirname(kernel), { recursive: true });
  const { error, stderr } = await asc.main([
    ...kernelSources,
    ...['--outFile', kernel],
    ...['--optimizeLevel', '3', '--shrinkLevel', '0', '--noAssert', '--runtime', 'stub'],
    ...['--enable', 'threads', '--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
  ]);
  if (error) fail(`${stderr}`);
  const { size } = statSync(kernel);
  if (size > KERNEL_BUDGET) fail(`${kernel} has ${size} bytes, ${KERNEL_BUDGET} are allowed`);
}

function buildTypeScript() {
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  const { status } = spawnSync(process.execPath, [join(typescript, 'bin', 'tsc')], { stdio: 'inherit' });
  if (status !== 0) fail('the TypeScript compiler found errors');
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
