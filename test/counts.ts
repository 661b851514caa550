/**
 * How often the tests that draw their cases at random, or race with a live writer, repeat. `npm test` runs every kind of case a few
 * times; `npm run soak` runs the full numbers that the project promises. The kinds are the same, only the numbers differ.
 */
interface Counts {
  /** Backups taken while a writer works on the mounted volume, one after another, each with another timing. */
  liveRuns: number;
  /** Cases of each property test. */
  propertyRuns: number;
  /** Backups in a row of a volume that changes a little before each. */
  incrementalRuns: number;
  /** Write points of the repository at which a run is killed: every one, or so many spread evenly over all. */
  killPoints: number | "all";
  /** Places at which an object is truncated or a bit of it flipped, for each object. */
  damagePoints: number;
  /** Backups, and restores, of each engine whose connection is cut at a random byte. */
  cutRuns: number;
  /** Files of the smaller and of the larger volume whose memory is compared. */
  memoryFiles: readonly [few: number, many: number];
  /** Whether every defect is tried on every engine whose judge must find it. */
  allMutations: boolean;
  /** Seconds of each fuzzed parser. */
  fuzzSeconds: number;
  /** Seconds of the fuzzed parser of RDB files. */
  rdbFuzzSeconds: number;
}

const full: Counts = {
  liveRuns: 20,
  propertyRuns: 1000,
  incrementalRuns: 50,
  killPoints: "all",
  damagePoints: 500,
  cutRuns: 50,
  memoryFiles: [1_000_000, 10_000_000],
  allMutations: true,
  fuzzSeconds: 60,
  rdbFuzzSeconds: 600,
};

const few: Counts = {
  liveRuns: 3,
  propertyRuns: 100,
  incrementalRuns: 8,
  killPoints: 40,
  damagePoints: 50,
  cutRuns: 5,
  memoryFiles: [150_000, 600_000],
  allMutations: false,
  fuzzSeconds: 3,
  rdbFuzzSeconds: 5,
};

export const counts: Counts = process.env["CAIRN_SOAK"] === "1" ? full : few;
