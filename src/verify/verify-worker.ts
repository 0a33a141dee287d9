import { parentPort } from 'node:worker_threads';
import { type VerifyRequest, VerifyServer } from './verify-threads.ts';

// The program of a thread: threads start from a file of their own.

const server = new VerifyServer();
parentPort?.on('message', (request: VerifyRequest) => {
  void server.answer(request).then((answer) => parentPort?.postMessage(answer));
});
