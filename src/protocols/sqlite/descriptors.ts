import { closeSync, fstatSync, openSync } from "node:fs";

/**
 * The open files of a view. Closing any descriptor of a file drops every POSIX lock that the process holds on that file
 * (https://sqlite.org/howtocorrupt.html, §2.2), so nothing is closed before the view's connection is, nor while another view
 * of the same database is open in this thread.
 */
export interface Descriptors {
  /** Opens a file for reading, until `release`; errors as `openSync`'s. */
  open(path: string): number;
  /** Gives the descriptors up; call it after closing the connection. Further calls do nothing. */
  release(): void;
}

interface Group {
  users: number;
  fds: number[];
}

/** By database file (device and inode). Process-wide by nature: descriptors and locks belong to the process, too. */
const groups = new Map<string, Group>();

/** Opens the database file and makes a group for it and its side files. */
export function openDescriptors(path: string): { main: number; descriptors: Descriptors } {
  const main = openSync(path, "r");
  const { dev, ino } = fstatSync(main, { bigint: true });
  const key = `${dev}:${ino}`;
  const group = groups.get(key) ?? { users: 0, fds: [] };
  groups.set(key, group);
  group.users++;
  group.fds.push(main);
  let released = false;
  return {
    main,
    descriptors: {
      open(sidePath) {
        const fd = openSync(sidePath, "r");
        group.fds.push(fd);
        return fd;
      },
      release() {
        if (released) return;
        released = true;
        if (--group.users > 0) return;
        groups.delete(key);
        for (const fd of group.fds) closeSync(fd);
      },
    },
  };
}
