/** What a line of progress says. */
export interface ProgressState {
  /** Printable, on one line. */
  readonly name: string;
  /** From 0 to 1; undefined if the total is unknown. */
  readonly share: number | undefined;
  /** The amounts, in full and in ever shorter forms; the first is for wide terminals, logs and pipes. */
  readonly forms: readonly [string, ...string[]];
}

const MAX_BAR_CHARACTERS = 24;
const MIN_BAR_CHARACTERS = 4;
/** What is left of a long name before a shorter form of the amounts is used. */
const MIN_NAME_COLUMNS = 7;

/** Fits a line of progress into a terminal: a line that wraps cannot be overwritten. */
export function progressLine({ name, share, forms }: ProgressState, terminalColumns: number): string {
  // Some terminals wrap after a character in the last column.
  const columns = Math.max(1, terminalColumns - 1);
  const nameColumns = columnsOf(name);
  const minColumns = Math.min(nameColumns, MIN_NAME_COLUMNS) + (share === undefined ? 0 : MIN_BAR_CHARACTERS);
  const frame = share === undefined ? ': ' : ': [] ';
  for (const form of forms) {
    const room = columns - columnsOf(`${frame}${form}`);
    if (room < minColumns) continue;
    if (share === undefined) return `${shortened(name, room)}: ${form}`;
    // A name that is cut leaves a third to the bar.
    const third = Math.max(MIN_BAR_CHARACTERS, Math.floor(room / 3));
    const bar = Math.min(MAX_BAR_CHARACTERS, Math.max(third, room - nameColumns));
    return `${shortened(name, room - bar)}: ${barText(share, bar)}${form}`;
  }
  return (forms.at(-1) ?? '').slice(0, columns);
}

function barText(share: number, characters: number): string {
  return `[${'#'.repeat(Math.round(share * characters)).padEnd(characters, '.')}] `;
}

const DOTS = '...';

/** The end of a path, which says more than its beginning. */
function shortened(name: string, columns: number): string {
  if (columnsOf(name) <= columns) return name;
  const dots = DOTS.slice(0, columns);
  let left = columns - dots.length;
  let end = '';
  for (const character of Array.from(name).toReversed()) {
    left -= columnsOf(character);
    if (left < 0) break;
    end = character + end;
  }
  return `${dots}${end}`;
}

/** Characters of East Asian scripts that take two columns, and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
/** Characters that are drawn over the one before. */
const NO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** How many columns of a terminal a text takes. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += WIDE.test(character) ? 2 : NO_WIDTH.test(character) ? 0 : 1;
  return columns;
}
