/** Real MariaDB servers for tests. Nothing is synced to disk. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { copyDataTemplate } from "./data-template.ts";
import { findCommand } from "./find-command.ts";
import { freePort } from "./free-port.ts";
import { commonSettings, launchMysql } from "./mysql-server.ts";
import type { MysqlOptions, MysqlServer } from "./mysql-server.ts";
import { runCommand } from "./run-command.ts";
import { serverFolder } from "./server-process.ts";
import { serverUser } from "./system-user.ts";
import { placeTlsFiles } from "./tls-files.ts";

/** The same size when the data is made and when it is served, for otherwise each start would make new logs. */
const redoLog = "--innodb-log-file-size=48M";

/** Starts a server of its own (the machine's own package) and waits until it answers. */
export async function startMariadb(options: MysqlOptions = {}): Promise<MysqlServer> {
  const program = requireCommand("mariadbd");
  const installer = requireCommand("mariadb-install-db");
  const user = serverUser("mysql");
  const folder = serverFolder("mariadb", user);
  const install = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", redoLog];
  await copyDataTemplate(
    {
      name: "mariadb",
      key: [program, String(statSync(program).mtimeMs), ...install],
      user,
      make: async (place) => {
        await runCommand(installer, ["--no-defaults", ...install, `--datadir=${join(place, "data")}`], {
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
    arguments: ["--no-defaults", redoLog],
    folder,
    port: await freePort(),
    user,
    tls,
    client: requireCommand("mariadb"),
    settings: { ...commonSettings(options, tls), "innodb-flush-method": "O_DIRECT_NO_FSYNC", ...options.config },
  });
}

function requireCommand(name: string): string {
  const path = findCommand(name);
  if (path === undefined) throw new Error(`${name} is not installed: no test was run; run "npm run setup"`);
  return path;
}
