import { linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { pathOf, type OddBench } from "./odd-bench.ts";

/** Names that are bytes rather than text, or text that is easily mangled. */
const oddNames: readonly Buffer[] = [
  Buffer.alloc(255, "n"),
  Buffer.alloc(255, 0xff),
  Buffer.from("é".repeat(127)),
  Buffer.from([0xff]),
  Buffer.from([0x80, 0x81, 0xfe]),
  // Latin-1, an overlong slash, half a surrogate pair, a cut-off sequence: none of them UTF-8.
  Buffer.from("caf\u00e9 latin-1", "latin1"),
  Buffer.from([0xc0, 0xaf]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0x61, 0xf0, 0x9f, 0x98]),
  Buffer.from("😀 emoji"),
  // The same letter composed and decomposed: two names.
  Buffer.from("\u00e9"),
  Buffer.from("e\u0301"),
  Buffer.from("\u202eright-to-left"),
  Buffer.from("\ufeffmark"),
  Buffer.from("\ufffd"),
  Buffer.from("new\nline"),
  Buffer.from("tab\tand\rreturn"),
  Buffer.from("\u0001\u0002\u007f"),
  Buffer.from(" "),
  Buffer.from(" leading and trailing "),
  Buffer.from("..."),
  Buffer.from("-rf"),
  Buffer.from("%2F"),
  Buffer.from("%"),
  Buffer.from("back\\slash"),
  Buffer.from(`quotes'"\``),
  Buffer.from("a@b:c"),
  Buffer.from("*?[x]"),
  Buffer.from("0"),
  Buffer.from("A"),
  Buffer.from("a"),
];

/** Files and directories under odd names, and one file for every byte that a name can consist of. */
export function makeOddNames(bench: OddBench): void {
  const top = pathOf(bench.mountpoint, "names");
  mkdirSync(top);
  for (const [index, name] of oddNames.entries()) {
    writeFileSync(pathOf(top, name), `file ${index}\n`);
    const folder = pathOf(top, Buffer.concat([name.subarray(0, 250), Buffer.from(".dir")]));
    mkdirSync(folder);
    writeFileSync(pathOf(folder, name), `file ${index} within\n`);
  }
  const everyByte = pathOf(top, "every-byte");
  mkdirSync(everyByte);
  for (let byte = 1; byte < 256; byte += 1) {
    if (byte !== 0x2f && byte !== 0x2e) writeFileSync(pathOf(everyByte, Buffer.from([byte])), "");
  }
}

/** Hard links in and across directories, and symbolic links with every kind of target. */
export async function makeOddLinks(bench: OddBench): Promise<void> {
  const top = pathOf(bench.mountpoint, "links");
  const [left, right] = [pathOf(top, "left"), pathOf(top, "right")];
  for (const folder of [top, left, right]) mkdirSync(folder);

  const original = pathOf(left, "original");
  writeFileSync(original, "one file, many names\n");
  linkSync(original, pathOf(left, "beside"));
  linkSync(original, pathOf(left, Buffer.from([0xfe, 0x01])));
  linkSync(original, pathOf(right, "across"));
  linkSync(original, pathOf(right, "across-again"));
  linkSync(original, pathOf(top, "above"));
  for (let index = 0; index < (bench.size === "full" ? 100 : 10); index += 1) {
    const file = pathOf(left, `pair-${index}`);
    writeFileSync(file, bench.random.bytes(bench.random.below(100)));
    linkSync(file, pathOf(right, `pair-${index}`));
  }

  const targets: readonly (string | Buffer)[] = [
    "original",
    "../right/across",
    "/absolute/nowhere",
    "dangling",
    ".",
    "a b\nc\td",
    Buffer.from([0xff, 0xfe, 0x80, 0x2f, 0xc3]),
    Buffer.alloc(4095, "t"),
    Buffer.alloc(4095, 0xe9),
    "😀",
  ];
  for (const [index, target] of targets.entries()) symlinkSync(Buffer.from(target), pathOf(left, `symlink-${index}`));
  await bench.syscalls.link(pathOf(left, "symlink-6"), pathOf(right, "symlink-6-linked"));
}
