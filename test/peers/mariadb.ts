/** Real MariaDB servers for tests. Nothing is synced to disk. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { copyDataTemplate } from "./data-template.ts";
import { suiteFile } from "./debian-suites.ts";
import { findCommand } from "./find-command.ts";
import { freePort } from "./free-port.ts";
import { commonSettings, launchMysql } from "./mysql-server.ts";
import type { MysqlOptions, MysqlServer } from "./mysql-server.ts";
import { runCommand } from "./run-command.ts";
import { serverFolder } from "./server-process.ts";
import { serverUser } from "./system-user.ts";
import { placeTlsFiles } from "./tls-files.ts";

/** `"system"` is the machine's own package. */
export type MariadbVersion = "system" | "11";

/** The same size when the data is made and when it is served, for otherwise each start would make new logs. */
const redoLog = "--innodb-log-file-size=48M";

/** Starts a server of its own and waits until it answers. */
export async function startMariadb(options: MysqlOptions & { version?: MariadbVersion } = {}): Promise<MysqlServer> {
  const { server: program, installer, base } = programs(options.version ?? "system");
  const user = serverUser("mysql");
  const folder = serverFolder("mariadb", user);
  const install = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", redoLog];
  await copyDataTemplate(
    {
      name: "mariadb",
      key: [program, String(statSync(program).mtimeMs), ...install],
      user,
      make: async (place) => {
        await runCommand(installer, ["--no-defaults", ...base, ...install, `--datadir=${join(place, "data")}`], {
          user,
          cwd: place,
          environment: { HOME: place, TMPDIR: place },
        });
      },
    },
    folder,
  );
  const tls = options.tls === undefined || options.tls === false ? undefined : await placeTlsFiles(folder, user);
  return launchMysql({
    name: "MariaDB",
    file: program,
    arguments: ["--no-defaults", ...base, redoLog],
    folder,
    port: await freePort(),
    user,
    tls,
    client: requireCommand("mariadb"),
    settings: { ...commonSettings(options, tls), "innodb-flush-method": "O_DIRECT_NO_FSYNC", ...options.config },
  });
}

function programs(version: MariadbVersion): { server: string; installer: string; base: string[] } {
  if (version === "system") {
    return { server: requireCommand("mariadbd"), installer: requireCommand("mariadb-install-db"), base: [] };
  }
  return {
    server: suiteFile("trixie", "usr/sbin/mariadbd"),
    installer: suiteFile("trixie", "usr/bin/mariadb-install-db"),
    base: [`--basedir=${suiteFile("trixie", "usr")}`],
  };
}

function requireCommand(name: string): string {
  const path = findCommand(name);
  if (path === undefined) throw new Error(`${name} is not installed: no test was run; run "npm run setup"`);
  return path;
}
