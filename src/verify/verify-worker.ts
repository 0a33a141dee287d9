import { parentPort } from 'node:worker_threads';
import { type VerifyRequest, VerifyServer } from './verify-threads.ts';

// The program of a thread: a file of its own, since a thread is started from a file.

const server = new VerifyServer();
parentPort?.on('message', (request: VerifyRequest) => {
  void server.answer(request).then((answer) => parentPort?.postMessage(answer));
});
