/**
 * Makes a bare Debian machine ready for the tests: system packages (when root), the servers of other releases and the real JuiceFS
 * programs in the cache. A second run finds everything and takes a fraction of a second.
 */
import { existsSync } from "node:fs";
import { CairnError, messageOf } from "../src/model/errors.ts";
import { suiteFolder, suiteNames } from "../test/peers/debian-suites.ts";
import { fetchSuite } from "../test/peers/fetch-suite.ts";
import { buildPeer, expectedPeerPath, peerNames } from "../test/peers/peers.ts";
import { findGo } from "./setup/go.ts";
import { installPackages, missingPackages } from "./setup/packages.ts";

/** Installs, fetches and builds what is missing; throws a {@link CairnError} that says what to do where it cannot. */
export async function setUp(say: (line: string) => void): Promise<void> {
  const missingPeers = peerNames.filter((name) => !existsSync(expectedPeerPath(name)));
  const packages = missingPackages({ toBuild: missingPeers.length > 0 });
  if (packages.length > 0) installPackages(packages, say);
  for (const name of suiteNames) {
    if (existsSync(suiteFolder(name))) continue;
    say(`fetching the servers of Debian ${name} (once; some seconds)`);
    await fetchSuite(name);
  }
  if (missingPeers.length === 0) return;
  const go = findGo(say);
  for (const name of missingPeers) {
    say(`building ${name} (once; up to some minutes)`);
    await buildPeer(name, go);
  }
}

if (import.meta.main) {
  try {
    await setUp((line) => process.stderr.write(`setup: ${line}\n`));
  } catch (error) {
    process.stderr.write(`setup: ${messageOf(error)}\n`);
    if (error instanceof CairnError) process.stderr.write(`setup: ${error.unharmed}; ${error.next}\n`);
    process.exitCode = 1;
  }
}
