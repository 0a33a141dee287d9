// A process of its own for one task. It says when it is ready, and then does a round whenever it is told to.

import { PEERS } from './peers/all.ts';
import { type Sample, TASKS, type TaskSettings } from './tasks.ts';

/** What comes back: after each round its sample, or why there is none. */
export interface TaskAnswer {
  readonly sample?: Sample;
  readonly failed?: string;
}

const settings = JSON.parse(process.argv[2] ?? '{}') as TaskSettings;
const peer = PEERS.find(({ id }) => id === settings.peer) ?? PEERS[0]!;

try {
  const round = await TASKS[settings.task](settings, peer);
  process.on('message', (number: number) => {
    round(number)
      .then((sample) => tell({ sample }))
      .catch(fail);
  });
  // Without its parent it has nobody to answer.
  process.once('disconnect', () => process.exit());
  tell({});
} catch (error) {
  fail(error);
}

function fail(error: unknown): void {
  tell({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

function tell(answer: TaskAnswer): void {
  process.send?.(answer);
}
