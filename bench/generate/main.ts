import { parseArgs } from "node:util";
import { writeVolume } from "./volume.ts";

/** `bench/generate/main.ts OUT --files N [--seed S] [--name NAME] [--bucket FOLDER]`: writes a binary dump and prints what is in it. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    files: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    name: { type: "string", default: "bench" },
    bucket: { type: "string", default: "/var/lib/cairn-bench/" },
  },
});
if (positionals.length !== 1) {
  console.error("usage: bench/generate/main.ts OUT --files N [--seed S] [--name NAME] [--bucket FOLDER]");
  process.exit(2);
}
const summary = writeVolume(positionals[0], {
  files: Number(values.files),
  seed: Number(values.seed),
  name: values.name,
  bucket: values.bucket,
});
console.log(JSON.stringify(summary));
