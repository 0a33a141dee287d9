import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

// What other people's file systems refuse, by a library that is loaded before that of the system.

const SOURCE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A variable of the environment has the number of the error. */
static int refused(const char *name) {
  const char *number = getenv(name);
  if (number == 0) return 0;
  errno = atoi(number);
  return 1;
}

int fsync(int fd) {
  struct stat stats;
  if (fstat(fd, &stats) == 0 && S_ISDIR(stats.st_mode)) {
    if (getenv("KILL_AT_FOLDER_SYNC")) kill(getpid(), SIGKILL);
    if (refused("REFUSE_FOLDER_SYNC")) return -1;
  }
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fchmod(int fd, mode_t mode) {
  if (refused("REFUSE_MODE")) return -1;
  return ((int (*)(int, mode_t))dlsym(RTLD_NEXT, "fchmod"))(fd, mode);
}

int fchown(int fd, uid_t uid, gid_t gid) {
  if (refused("REFUSE_OWNER")) return -1;
  return ((int (*)(int, uid_t, gid_t))dlsym(RTLD_NEXT, "fchown"))(fd, uid, gid);
}

int link(const char *from, const char *to) {
  if (refused("REFUSE_LINKS")) return -1;
  return ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "link"))(from, to);
}

static int control(const char *name, int fd, int command, void *argument) {
  if (command == F_OFD_SETLK && refused("REFUSE_LOCKS")) return -1;
  return ((int (*)(int, int, ...))dlsym(RTLD_NEXT, name))(fd, command, argument);
}

#define CONTROL(name)                            \\
  int name(int fd, int command, ...) {           \\
    va_list list;                                \\
    va_start(list, command);                     \\
    void *argument = va_arg(list, void *);       \\
    va_end(list);                                \\
    return control(#name, fd, command, argument); \\
  }
CONTROL(fcntl)
CONTROL(fcntl64)
`;

/** Whether such a library can be built here. */
export const canRefuse: boolean = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0;

type Refusal = 'REFUSE_LINKS' | 'REFUSE_FOLDER_SYNC' | 'REFUSE_MODE' | 'REFUSE_OWNER' | 'REFUSE_LOCKS';

/** The environment of a process for which calls fail. */
export type Refuse = (refusals: Partial<Record<Refusal, keyof typeof constants.errno>>) => Record<string, string>;

/** @param folder - where every user who needs the library can read it */
export function buildRefusals(folder: string): Refuse {
  const library = join(folder, 'refusals.so');
  writeFileSync(`${library}.c`, SOURCE);
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, `${library}.c`, '-ldl']);
  return (refusals) => {
    const env: Record<string, string> = { LD_PRELOAD: library };
    for (const [name, errno] of Object.entries(refusals)) env[name] = String(constants.errno[errno]);
    return env;
  };
}

/** For the environment: the process is killed when it is about to sync a folder. */
export const KILL_AT_FOLDER_SYNC: Readonly<Record<string, string>> = { KILL_AT_FOLDER_SYNC: '1' };
