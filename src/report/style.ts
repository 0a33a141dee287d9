/** How words stand out, where they may: each member wraps a text, or gives it back as it is. */
export interface Style {
  readonly error: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly info: (text: string) => string;
  readonly heading: (text: string) => string;
  readonly faint: (text: string) => string;
}

const sgr =
  (on: number, off: number) =>
  (text: string): string =>
    `\u001b[${on}m${text}\u001b[${off}m`;

const same = (text: string): string => text;

export const COLOR: Style = {
  error: sgr(31, 39),
  warning: sgr(33, 39),
  info: sgr(36, 39),
  heading: sgr(1, 22),
  faint: sgr(2, 22),
};

export const PLAIN: Style = { error: same, warning: same, info: same, heading: same, faint: same };
