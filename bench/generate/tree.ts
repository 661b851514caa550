import { styles, type Style } from "./names.ts";
import { openRandom, type Random } from "./random.ts";

/** The directories of a volume in the order of their creation; index 0 is the root. Entry i of every array is directory i. */
export interface Tree {
  count: number;
  parent: Uint32Array;
  depth: Uint8Array;
  /** Which of the clients that filled the volume made the directory: its inode and slice numbers come from that client's share. */
  client: Uint8Array;
  project: Uint32Array;
  style: Style[];
  files: Uint32Array;
  subdirectories: Uint32Array;
  /** How many sub-directories of the same parent are older. */
  rank: Uint32Array;
}

export const clients = 4;
const filesPerDirectory = 14;
const directoriesPerProject = 2_500;
const depthMax = 12;

/** The few very large directories: share of all files, and style. */
const largeDirectories: readonly { share: number; style: Style }[] = [
  { share: 0.05, style: "hash" },
  { share: 0.015, style: "camera" },
  { share: 0.012, style: "parts" },
  { share: 0.01, style: "logs" },
  { share: 0.006, style: "hash" },
  { share: 0.004, style: "unicode" },
  { share: 0.003, style: "parts" },
];

/** Plans the directories for `files` files: about one for 14 files, of very unequal size, up to 12 deep, plus the large ones. */
export function planTree(files: number, seed: number): Tree {
  const random = openRandom(seed, "tree");
  const count = 1 + Math.max(largeDirectories.length * 2, Math.round(files / filesPerDirectory));
  const tree: Tree = {
    count,
    parent: new Uint32Array(count),
    depth: new Uint8Array(count),
    client: new Uint8Array(count),
    project: new Uint32Array(count),
    style: ["words"],
    files: new Uint32Array(count),
    subdirectories: new Uint32Array(count),
    rank: new Uint32Array(count),
  };
  plantDirectories(tree, random);
  spreadFiles(tree, files, random);
  return tree;
}

/** Each client walks through a project of its own, and now and then another client goes on: their directories interleave. */
function plantDirectories(tree: Tree, random: Random): void {
  const places = new Uint32Array(clients);
  const left = new Int32Array(clients);
  let client = 0;
  let projects = 0;
  for (let directory = 1; directory < tree.count; directory++) {
    if (random.chance(0.12)) {
      client = random.below(clients);
    }
    let parent = 0;
    if (left[client] <= 0) {
      left[client] = Math.ceil(random.logNormal(Math.min(directoriesPerProject, tree.count / 8) * 0.7, 0.8));
      projects++;
    } else {
      parent = nextParent(tree, places[client], random);
    }
    left[client]--;
    places[client] = directory;
    tree.parent[directory] = parent;
    tree.client[directory] = client;
    tree.depth[directory] = tree.depth[parent] + 1;
    tree.rank[directory] = tree.subdirectories[parent]++;
    tree.project[directory] = parent === 0 ? projects : tree.project[parent];
    tree.style.push(parent !== 0 && random.chance(0.8) ? tree.style[parent] : random.pick(styles));
  }
}

/** Goes down, stays beside or climbs, so that deep places are rarer than shallow ones; never above the project's own directory. */
function nextParent(tree: Tree, place: number, random: Random): number {
  const way = random.unit();
  const depth = tree.depth[place];
  if (depth === 1 || (depth < depthMax && way < 0.55 - 0.045 * depth)) {
    return place;
  }
  let parent = tree.parent[place];
  if (way > 0.8) {
    while (tree.depth[parent] > 1 && random.chance(0.6)) {
      parent = tree.parent[parent];
    }
  }
  return parent;
}

function spreadFiles(tree: Tree, files: number, random: Random): void {
  let rest = files;
  const large = new Set<number>();
  for (const [index, { share, style }] of largeDirectories.entries()) {
    let directory = Math.floor(((index + 0.5) / largeDirectories.length) * tree.count);
    while (tree.depth[directory] < 2 && directory < tree.count - 1) {
      directory++;
    }
    large.add(directory);
    tree.files[directory] = Math.floor(files * share);
    tree.style[directory] = style;
    rest -= tree.files[directory];
  }
  const weights = new Float64Array(tree.count);
  let sum = 0;
  for (let directory = 0; directory < tree.count; directory++) {
    // Inner directories hold fewer files than leaves, the root next to none.
    const weight = random.logNormal(tree.subdirectories[directory] > 0 ? 4 : 7, 1.1);
    weights[directory] = directory === 0 || large.has(directory) ? 0 : weight;
    sum += weights[directory];
  }
  let owed = 0;
  let given = 0;
  for (let directory = 0; directory < tree.count; directory++) {
    owed += (weights[directory] / sum) * rest;
    const whole = Math.floor(owed + 1e-9) - given;
    tree.files[directory] += whole;
    given += whole;
  }
  tree.files[tree.count - 1] += rest - given;
}
