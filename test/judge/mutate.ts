import { copyFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { Mutation } from "./mutations.ts";
import { PICKED } from "./mutations.ts";

/** Copies a database and damages the copy. Throws when the volume has nothing that the mutation could change. */
export function mutate(mutation: Mutation, from: string, to: string): void {
  copyFileSync(from, to);
  const database = new DatabaseSync(to, { defensive: false });
  try {
    database.exec(PICKED);
    const before = stateOf(database);
    for (const sql of mutation.sql) {
      database.exec(sql);
    }
    if (stateOf(database) === before) {
      throw new Error(`"${mutation.name}" changed nothing: the volume lacks what it damages`);
    }
  } finally {
    database.close();
  }
}

/** Changes whenever rows, schema or the file's own version do. */
function stateOf(database: DatabaseSync): string {
  const state = ["SELECT total_changes()", "PRAGMA schema_version", "PRAGMA user_version"];
  return JSON.stringify(state.map((sql) => database.prepare(sql).get()));
}
