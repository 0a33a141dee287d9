import { emitWarning } from 'node:process';

// What a person should know of the system although the work went well.

export type NoteListener = (note: string) => void;

let listener: NoteListener | undefined;
const noted = new Set<string>();

/** Says something once in this process: to the listener, or else as a warning of Node. */
export function noteOnce(note: string): void {
  if (noted.has(note)) return;
  noted.add(note);
  if (listener) listener(note);
  else emitWarning(note, 'ArtriePagesWarning');
}

/** @returns the listener before, to be set again */
export function setNoteListener(next: NoteListener | undefined): NoteListener | undefined {
  const before = listener;
  listener = next;
  return before;
}
