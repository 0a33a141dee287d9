#!/usr/bin/env node
// CommonJS, since loading a first ES module takes a tenth of the time in which Node starts.

const { writeSync } = require('node:fs');
const { setFlagsFromString } = require('node:v8');

// Two undocumented V8 flags that save memory: a young generation that does not grow, since what is allocated for a page or
// a batch of nodes is garbage soon; and less recompilation, which takes memory. V8 reports an unknown flag on standard
// error, so each one is set only for the versions of Node that have it.
const FIXED_YOUNG_GENERATION = '--semi-space-growth-factor=1';
const LESS_RECOMPILATION = '--interrupt-budget=2000000';
const FLAGS = {
  20: [FIXED_YOUNG_GENERATION, LESS_RECOMPILATION],
  22: [FIXED_YOUNG_GENERATION],
  24: [FIXED_YOUNG_GENERATION],
};
for (const flag of FLAGS[parseInt(process.versions.node, 10)] ?? []) setFlagsFromString(flag);

/** Exit code 1 is for findings alone; Node would exit with it, and print a stack trace. */
function fail(error) {
  const isDebug = (process.env.ARTRIE_PAGES_DEBUG ?? '') !== '';
  const message = error instanceof Error ? error.message : String(error);
  const line = error?.syscall === undefined ? `internal error: ${message}` : message;
  try {
    writeSync(2, `artrie-pages: ${line.split('\n')[0]}\n${isDebug ? `${error?.stack}\n` : ''}`);
  } finally {
    process.exit(3);
  }
}

process.on('uncaughtException', fail);

function run() {
  import('../dist/bin/cli.js').then(({ runProcess }) => runProcess()).catch(fail);
}

const args = process.argv.slice(2);
if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  // The same output as that of the command line, which loads more; it also reports why the version could not be written.
  process.stdout.on('error', run).write(`${require('../package.json').version}\n`);
} else {
  run();
}
