/**
 * The house rules that no other checker knows. Each rule is a function from the tracked and new files to complaints, one line
 * each, with the place and what to do.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { messageOf } from "../src/model/errors.ts";

/** A file of the project as the rules see it: its path from the root with `/`, and its text. */
export interface TextFile {
  path: string;
  text: string;
}

const root = join(import.meta.dirname, "..");
const sourceLinesMax = 600;
/** Files that hold other people's text, machine-made data, or (this one's test) the very things that the rules refuse. */
const notOurText = /(^|\/)(package-lock\.json|go\.sum|LICENSE|tidy\.test\.ts)$|^test\/golden\//;

/** All complaints about the project, in the order of the rules. */
export function tidy(files: readonly TextFile[]): string[] {
  const rules = [
    longFiles,
    machinePaths,
    lockedAddresses,
    focusedTests,
    testHelpers,
    implicitNow,
    unlistedDependencies,
    deadLinks,
    unlistedErrorCodes,
  ];
  return rules.flatMap((rule) => rule(files));
}

function longFiles(files: readonly TextFile[]): string[] {
  const complaints: string[] = [];
  for (const { path, text } of files) {
    const lines = text.split("\n").length - 1;
    if (path.startsWith("src/") && lines > sourceLinesMax) {
      complaints.push(`${path}: ${lines} lines; split it by subject (at most ${sourceLinesMax})`);
    }
  }
  return complaints;
}

/** Folders that exist on one machine only, as git itself would meet them on another. */
function machinePaths(files: readonly TextFile[]): string[] {
  const folders = new RegExp(String.raw`(?<![\w.$}~/-])/(?:work|home/[a-z][\w-]*|root|Users/\w+)/[\w.]`);
  return files
    .filter(({ path }) => !notOurText.test(path))
    .flatMap((file) => findLines(file, folders, "names a folder of one machine; make the path relative"));
}

function lockedAddresses(files: readonly TextFile[]): string[] {
  return files
    .filter(({ path }) => path.endsWith("package-lock.json"))
    .flatMap((file) =>
      findLines(
        file,
        /"resolved": *"http/,
        "names a registry; write the lock file again with npm (.npmrc omits addresses)",
      ),
    );
}

function focusedTests(files: readonly TextFile[]): string[] {
  return files
    .filter(({ path }) => path.endsWith(".test.ts") && !notOurText.test(path))
    .flatMap((file) =>
      findLines(file, /\b(?:test|it|describe|suite)\.only\(|\bonly: *true/, "runs one test alone; take .only out"),
    );
}

/** `testing.ts` files are free of the layers and of the ban on the clock, as tests are; so only tests may import them. */
function testHelpers(files: readonly TextFile[]): string[] {
  return files
    .filter(({ path }) => path.startsWith("src/") && !/(?:\.test|\/testing)\.ts$/.test(path))
    .flatMap((file) => findLines(file, /from ".*\/testing\.ts"/, "imports what is for tests only"));
}

/** The linter refuses `Date.now`, but it has no rule for the constructor without an argument. */
function implicitNow(files: readonly TextFile[]): string[] {
  return files
    .filter(({ path }) => path.startsWith("src/") && !path.endsWith(".test.ts") && path !== "src/std/clock.ts")
    .flatMap((file) => findLines(file, /\bnew Date\(\s*\)/, "reads the clock; take the time from src/std/clock.ts"));
}

interface PackageFile {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

function unlistedDependencies(files: readonly TextFile[]): string[] {
  const project = JSON.parse(textOf(files, "package.json") ?? "{}") as PackageFile;
  const page = textOf(files, "docs/dependencies.md") ?? "";
  const names = [project.dependencies, project.devDependencies, project.optionalDependencies].flatMap((each) =>
    Object.keys(each ?? {}),
  );
  return names
    .filter((name) => !page.includes(`\`${name}\``))
    .map((name) => `docs/dependencies.md: does not name \`${name}\`; say what it is for and why it earns its place`);
}

function deadLinks(files: readonly TextFile[]): string[] {
  const complaints: string[] = [];
  for (const { path, text } of files) {
    if (!path.endsWith(".md")) continue;
    const prose = text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, "").replaceAll(/`[^`\n]*`/g, "");
    for (const match of prose.matchAll(/\]\(\s*<?([^)\s>]+)/g)) {
      const [link, anchor] = match[1].split("#");
      if (/^[a-z][a-z+.-]*:/i.test(link)) continue;
      const target = link === "" ? path : join(dirname(path), decodeURI(link));
      if (textOf(files, target) === undefined && !existsSync(join(root, target))) {
        complaints.push(`${path}: links to ${match[1]}, which does not exist`);
      } else if (
        anchor !== undefined &&
        target.endsWith(".md") &&
        !anchorsOf(textOf(files, target) ?? "").has(anchor)
      ) {
        complaints.push(`${path}: links to ${match[1]}, but that page has no such heading`);
      }
    }
  }
  return complaints;
}

/** The anchors of a page's headings as code hosts make them: lower case, punctuation out, spaces to hyphens. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const match of text.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const plain = match[1]
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-");
    let anchor = plain;
    for (let count = 1; anchors.has(anchor); count++) anchor = `${plain}-${count}`;
    anchors.add(anchor);
  }
  return anchors;
}

function unlistedErrorCodes(files: readonly TextFile[]): string[] {
  const page = textOf(files, "docs/json.md") ?? "";
  const places = new Map<string, string>();
  for (const { path, text } of files) {
    if (!path.startsWith("src/") || path.endsWith(".test.ts")) continue;
    for (const match of text.matchAll(/new CairnError\(\s*"([^"]+)"/g)) places.set(match[1], path);
  }
  return [...places]
    .filter(([code]) => !page.includes(`\`${code}\``))
    .map(([code, path]) => `docs/json.md: does not list the error code \`${code}\` (thrown in ${path})`)
    .toSorted();
}

function findLines(file: TextFile, what: RegExp, complaint: string): string[] {
  return file.text
    .split("\n")
    .flatMap((line, index) => (what.test(line) ? [`${file.path}:${index + 1}: ${complaint}`] : []));
}

function textOf(files: readonly TextFile[], path: string): string | undefined {
  return files.find((file) => file.path === path)?.text;
}

/** Every text file that git tracks or would track. */
function readProject(): TextFile[] {
  // A container may run as another user than the one who cloned, which git refuses by default.
  const listed = execFileSync(
    "git",
    ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 1 << 26,
    },
  );
  const files: TextFile[] = [];
  for (const path of listed.split("\0")) {
    if (path === "" || !existsSync(join(root, path))) continue;
    const bytes = readFileSync(join(root, path));
    if (!bytes.subarray(0, 8192).includes(0)) files.push({ path, text: bytes.toString("utf8") });
  }
  return files;
}

if (import.meta.main) {
  try {
    const complaints = tidy(readProject());
    for (const complaint of complaints) console.log(complaint);
    if (complaints.length > 0) process.exitCode = 1;
  } catch (error) {
    console.error(`tidy: could not read the project: ${messageOf(error)}; nothing was changed`);
    process.exitCode = 1;
  }
}
