// What is used of fs-native-extensions, which has no types of its own and need not be installed.
declare module 'fs-native-extensions' {
  /** @returns false where another open file holds the lock; throws an error with an errno name as its `code` */
  export function tryLock(fd: number, offset: number, length: number): boolean;
  export function unlock(fd: number, offset: number, length: number): void;
}
