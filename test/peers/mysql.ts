/** Real MySQL servers for tests, of the version that Debian's sid had when the cache was filled. Nothing is synced to disk. */
import { join } from "node:path";
import { copyDataTemplate } from "./data-template.ts";
import { suiteFile } from "./debian-suites.ts";
import { freePort } from "./free-port.ts";
import { commonSettings, launchMysql } from "./mysql-server.ts";
import type { MysqlOptions, MysqlServer } from "./mysql-server.ts";
import { runCommand } from "./run-command.ts";
import { serverFolder } from "./server-process.ts";
import { serverUser } from "./system-user.ts";
import { placeTlsFiles } from "./tls-files.ts";

/** Starts a server of its own and waits until it answers. */
export async function startMysql(options: MysqlOptions = {}): Promise<MysqlServer> {
  const program = suiteFile("sid", "usr/sbin/mysqld");
  const fixed = [
    "--no-defaults",
    `--basedir=${suiteFile("sid", "usr")}`,
    `--lc-messages-dir=${suiteFile("sid", "usr/share/mysql")}`,
    `--character-sets-dir=${suiteFile("sid", "usr/share/mysql/charsets")}`,
    `--plugin-dir=${suiteFile("sid", "usr/lib/mysql/plugin")}`,
    "--innodb-redo-log-capacity=96M",
  ];
  const user = serverUser("mysql");
  const folder = serverFolder("mysql", user);
  await copyDataTemplate(
    {
      name: "mysql",
      key: [program, ...fixed],
      user,
      make: async (place) => {
        const where = [`--datadir=${join(place, "data")}`, `--tmpdir=${place}`];
        await runCommand(program, [...fixed, ...where, "--initialize-insecure"], { user, cwd: place });
      },
    },
    folder,
  );
  const tls = options.tls === undefined || options.tls === false ? undefined : await placeTlsFiles(folder, user);
  return launchMysql({
    name: "MySQL",
    file: program,
    arguments: fixed,
    folder,
    port: await freePort(),
    user,
    tls,
    client: suiteFile("sid", "usr/bin/mysql"),
    settings: {
      ...commonSettings(options, tls),
      mysqlx: "OFF",
      // MySQL writes a binary log unless told not to.
      ...(options.binaryLog === true ? {} : { "skip-log-bin": "ON" }),
      "innodb-flush-method": "O_DIRECT_NO_FSYNC",
      ...options.config,
    },
  });
}
