import assert from "node:assert/strict";
import test from "node:test";
import { tidy } from "./tidy.ts";
import type { TextFile } from "./tidy.ts";

const clean: TextFile[] = [
  { path: "package.json", text: '{ "dependencies": { "left": "1.0.0" } }' },
  { path: "docs/dependencies.md", text: "* `left`: for the left.\n" },
  { path: "docs/json.md", text: "| `known-code` | what it means |\n" },
];

const machine = (...names: string[]) => `const folder = "/${names.join("/")}";\n`;
const refused: { what: string; file: TextFile }[] = [
  { what: "a long source file", file: { path: "src/std/long.ts", text: "x\n".repeat(601) } },
  { what: "a folder of one machine", file: { path: "src/std/a.ts", text: machine("work", "main") } },
  { what: "a home folder", file: { path: "docs/a.md", text: machine("home", "ann", "x") } },
  { what: "root's home folder", file: { path: "tools/a.sh", text: machine("root", ".cache") } },
  {
    what: "a registry in the lock file",
    file: { path: "package-lock.json", text: '  "resolved": "https://x/y.tgz",\n' },
  },
  { what: "a focused test", file: { path: "src/a.test.ts", text: 'test.only("one", () => {});\n' } },
  {
    what: "a focused test by option",
    file: { path: "src/a.test.ts", text: 'test("one", { only: true }, () => {});\n' },
  },
  { what: "a test helper in the product", file: { path: "src/a.ts", text: 'import { x } from "./testing.ts";\n' } },
  { what: "a reading of the clock", file: { path: "src/model/a.ts", text: "const now = new Date();\n" } },
  {
    what: "a dependency without a reason",
    file: { path: "package.json", text: '{ "devDependencies": { "right": "1.0.0" } }' },
  },
  { what: "a dead link", file: { path: "docs/a.md", text: "See [the other](other.md).\n" } },
  { what: "a dead anchor", file: { path: "docs/a.md", text: "# One\n\nSee [two](#two).\n" } },
  {
    what: "an unlisted error code",
    file: { path: "src/a.ts", text: 'throw new CairnError(\n  "new-code",\n  "x");\n' },
  },
];

for (const { what, file } of refused) {
  test(`refuses ${what}`, () => {
    const files = [file, ...clean.filter(({ path }) => path !== file.path), { path: "docs/a.md", text: "" }];
    const complaints = tidy(files);
    assert.equal(complaints.length, 1, complaints.join("\n"));
  });
}

test("accepts what follows the rules", () => {
  const files: TextFile[] = [
    { path: "src/a.ts", text: 'throw new CairnError("known-code", "x");\nconst day = new Date(0);\n' },
    { path: "src/a.test.ts", text: 'import { x } from "./testing.ts";\n' },
    { path: "src/std/clock.ts", text: "export const now = () => new Date();\n" },
    { path: "src/b.ts", text: 'const url = "sqlite3:///var/lib/work/x.db";\nconst rootPath = "/root";\n' },
    { path: "docs/a.md", text: "# One: a `b`\n\n[one](#one-a-b) [web](https://x.test/y) [file](../package.json)\n" },
    ...clean,
  ];
  assert.deepEqual(tidy(files), []);
});
