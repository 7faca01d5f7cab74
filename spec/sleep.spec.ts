import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { filesIn, textOf, withoutComments } from './kit/sources.ts';

const SLEEPER = 'lib/memory/wait.ts';

/** The files of lib/ whose code, comments apart, matches. */
function filesWith(pattern: RegExp, folder = 'lib'): string[] {
  return filesIn(folder, '.ts').filter((file) => pattern.test(withoutComments(textOf(file))));
}

test('Atomics.wait, waitAsync and notify appear in one file', () => {
  for (const name of ['wait', 'waitAsync', 'notify']) {
    assert.equal(filesWith(new RegExp(`\\bAtomics\\s*\\.\\s*${name}\\b`)), [SLEEPER], name);
  }
});

test('no other file uses Atomics in any way: what several threads change is the affair of the kernel', () => {
  assert.equal(filesWith(/\bAtomics\b/), [SLEEPER]);
});

test('the kernel neither sleeps nor wakes', () => {
  assert.ok(filesWith(/\batomic\s*\.\s*cmpxchg\b/, 'lib/kernel').length > 0, 'the kernel is looked into');
  assert.equal(filesWith(/\batomic\s*\.\s*(?:wait|notify)\b|\bmemory\s*\.\s*atomic\b/, 'lib/kernel'), []);
});

test('a comment about Atomics is no use of it, text in quotes is', () => {
  assert.is(withoutComments('a; // Atomics\n/* Atomics\n */ b').includes('Atomics'), false);
  assert.is(withoutComments("x['//Atomics']").includes('Atomics'), true);
});

test.run();
