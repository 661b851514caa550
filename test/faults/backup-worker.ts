/** `backup-worker.ts FOLDER SEED` backs a changing volume up into a repository until it is killed; it says when it begins. */
import { FolderStore } from "../../src/repository/stores/folder.ts";
import { backUpRows } from "../support/run-backup.ts";
import { changedRows, volumeRows } from "../support/volume-rows.ts";

const [folder, seed] = process.argv.slice(2);
const rows = changedRows(volumeRows(3, 2000), Number(seed) + 10, 0.05);
const store = new FolderStore(folder);
console.log("ready");
for (let at = 0; at < 20; at += 1) {
  await backUpRows(store, changedRows(rows, 100 * Number(seed) + at, 0.02));
}
