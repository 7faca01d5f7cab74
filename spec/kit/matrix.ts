// `npm run test:matrix -- [PATTERN]`: the specs on every Node that the library promises to run on, one after another. Nodes that
// are not there are fetched from npm. Exit code 1 if a spec fails on one of them.
import { fileURLToPath } from 'node:url';
import { nodeOf, runOn } from '../../bench/node-versions.ts';

const VERSIONS = ['20', '22', '24', '26'];
const runner = fileURLToPath(new URL('run.js', import.meta.url));

const failed: string[] = [];
for (const version of VERSIONS) {
  console.log(`\nNode ${version}\n`);
  if ((await runOn(await nodeOf(version), [runner, ...process.argv.slice(2)])) !== 0) failed.push(version);
}
console.log(failed.length > 0 ? `\nfailed on Node ${failed.join(', ')}` : `\npassed on Node ${VERSIONS.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
