#!/usr/bin/env node
// A CommonJS module: loading the first ES module takes a tenth of the time that Node takes to start.

const { setFlagsFromString } = require('node:v8');

// A young generation that does not grow, since what is made for a page or a batch of nodes is garbage soon; and code that
// is compiled anew only where it runs for long, since compiling takes memory.
setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--interrupt-budget=2000000');

function run() {
  void import('../dist/bin/cli.js').then(({ runProcess }) => runProcess());
}

const args = process.argv.slice(2);
if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  // The command line says the same, after it has loaded more; it also explains what keeps it from being written.
  process.stdout.on('error', run).write(`${require('../package.json').version}\n`);
} else {
  run();
}
