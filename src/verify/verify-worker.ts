import { parentPort } from 'node:worker_threads';
import { type VerifyRequest, VerifyServer } from './verify-threads.ts';

// A thread that verifies ranges of files, one after the other. It does not load commander.

const server = new VerifyServer();
parentPort?.on('message', (request: VerifyRequest) => {
  void server.answer(request).then((answer) => parentPort?.postMessage(answer));
});
