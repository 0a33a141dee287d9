// A thread that verifies ranges of files, one after the other. It does not load commander.

import { parentPort } from 'node:worker_threads';
import type { VerifyRequest } from './messages.ts';
import { VerifyServer } from './verify-server.ts';

const server = new VerifyServer();
parentPort?.on('message', (request: VerifyRequest) => {
  void server.answer(request).then((answer) => parentPort?.postMessage(answer));
});
