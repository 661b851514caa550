import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { before, test } from "node:test";
import { batchFromRows } from "../../src/model/batch.ts";
import type { CairnError } from "../../src/model/errors.ts";
import { juicefs } from "../../src/model/juicefs.ts";
import type { Kind } from "../../src/model/schema.ts";
import { encodeFrame } from "../../src/format/frame.ts";
import { decodeManifest, encodeManifest } from "../../src/format/manifest.ts";
import type { Manifest } from "../../src/format/manifest.ts";
import { decodePage, encodePage } from "../../src/format/page.ts";
import { packName } from "../../src/repository/layout.ts";
import { openRepository } from "../../src/repository/repository.ts";
import { listSnapshots } from "../../src/repository/snapshots.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";
import { storeWith } from "../support/judge-damage.ts";
import { backUpRows, openSnapshots, readRows, verify } from "../support/run-backup.ts";
import { volumeRows } from "../support/volume-rows.ts";

const store = new MemoryStore();
let object = "";

before(async () => {
  object = (await backUpRows(store, volumeRows(1, 500))).object;
});

async function withManifest(change: (manifest: Manifest) => Manifest): Promise<MemoryStore> {
  const [{ id }] = await listSnapshots(await openRepository(store));
  const manifest = decodeManifest(store.objects.get(object) ?? new Uint8Array(0), id);
  return storeWith(store, object, encodeManifest(change(manifest)));
}

function withHeader(change: Record<string, unknown>): MemoryStore {
  const header = JSON.parse(Buffer.from(store.objects.get("cairn.json") ?? []).toString()) as Record<string, unknown>;
  return storeWith(store, "cairn.json", Buffer.from(JSON.stringify({ ...header, ...change })));
}

const refused = (code: string, message: RegExp) => (error: CairnError) => {
  assert.equal(error.code, code);
  assert.equal(error.exit, "repositoryDamaged");
  assert.match(error.message, message);
  return true;
};

test("a repository of another format version is refused with its version", async () => {
  await assert.rejects(
    openRepository(withHeader({ format: 2 })),
    refused("format-unknown", /format version 2; .*reads version 1/),
  );
  await assert.rejects(openRepository(withHeader({ format: "2" })), refused("format-unknown", /not given/));
});

test("a repository that needs an unknown feature is refused with its name", async () => {
  await assert.rejects(
    openRepository(withHeader({ features: ["sealed-packs"] })),
    refused("format-unknown", /"sealed-packs"/),
  );
  await assert.rejects(openRepository(withHeader({ features: undefined })), refused("manifest-damaged", /features/));
});

test("a header that is none is refused", async () => {
  for (const text of ["", "{", "null", "[]", '"cairn"', "7"]) {
    await assert.rejects(
      openRepository(storeWith(store, "cairn.json", Buffer.from(text))),
      refused("repository-damaged", /cairn\.json/),
      text,
    );
  }
});

test("a snapshot of another format version or with an unknown feature is refused by name", async () => {
  await assert.rejects(
    openSnapshots(await withManifest((manifest) => ({ ...manifest, format: 2 }))),
    refused("format-unknown", /snapshot [0-9a-f]{32} has format version 2/),
  );
  await assert.rejects(
    openSnapshots(await withManifest((manifest) => ({ ...manifest, features: ["x"] }))),
    refused("format-unknown", /feature "x"/),
  );
});

test("a snapshot of another identity version, schema version, kind or table is refused by name", async () => {
  const open = async (change: Partial<Manifest>): Promise<unknown> =>
    openSnapshots(await withManifest((manifest) => ({ ...manifest, ...change })));
  await assert.rejects(open({ identityVersion: 2 }), refused("format-unknown", /identity version 2/));
  await assert.rejects(open({ schemaVersion: 99 }), refused("format-unknown", /juicefs schema version 99/));
  await assert.rejects(open({ kind: "alluxio" }), refused("format-unknown", /kind alluxio/));
  const [snapshot] = await openSnapshots(store);
  const tables = [...snapshot.manifest.tables, { ...snapshot.manifest.tables[0], name: "token" }];
  await assert.rejects(open({ tables }), refused("format-unknown", /table token/));
});

test("a manifest whose fields are not what they should be is refused", async () => {
  const [{ manifest }] = await openSnapshots(store);
  for (const name of Object.keys(manifest)) {
    if (["format", "features", "id", "volume"].includes(name)) continue;
    for (const value of [undefined, 1.5, "\u0000", [7], { a: [] }]) {
      const changed = await withManifest((whole) => ({ ...whole, [name]: value }));
      const read = async (): Promise<void> => {
        for (const snapshot of await openSnapshots(changed)) await verify(snapshot);
      };
      await read().catch((error: unknown) => {
        assert.equal((error as CairnError).exit, "repositoryDamaged", `${name}: ${String(error)}`);
      });
    }
  }
  await assert.rejects(
    openSnapshots(await withManifest((whole) => ({ ...whole, tables: [] as never, packs: ["../x"] }))),
    refused("manifest-damaged", /"packs"/),
  );
});

test("a page of a newer Cairn is refused with the column that it has more", async () => {
  const newer: Kind = {
    ...juicefs,
    tables: juicefs.tables.map((table) =>
      table.name === "acl"
        ? { ...table, columns: [...table.columns, { name: "flavour", type: "u32", encoding: "plain" } as const] }
        : table,
    ),
  };
  const schema = newer.tables.find(({ name }) => name === "acl") ?? juicefs.tables[0];
  const page = encodePage(
    schema,
    batchFromRows(schema, 0, [[1, 0, 0, 0, 0, new Uint8Array(0), new Uint8Array(0), 9]]),
    0,
    1,
  ).raw;
  const old = juicefs.tables.find(({ name }) => name === "acl") ?? juicefs.tables[0];
  assert.throws(() => decodePage(old, 0, page), refused("page-damaged", /"flavour"/));
  // As it would lie in a repository.
  const changed = await withNewPage(page);
  await assert.rejects(readRows((await openSnapshots(changed))[0]), refused("page-damaged", /"flavour"/));
});

/** The repository with its page of ACL rules replaced, at the end of the pack. */
async function withNewPage(page: Uint8Array): Promise<MemoryStore> {
  const [snapshot] = await openSnapshots(store);
  const { encodeIndexPage } = await import("../../src/format/index-page.ts");
  const entry = await snapshot.index("acl").find(new Uint8Array([0, 0, 0, 7]));
  assert.ok(entry !== undefined);
  const frame = encodeFrame(page);
  const name = packName(snapshot.manifest.volume, entry.location.pack);
  const pack = store.objects.get(name) ?? new Uint8Array(0);
  const location = { ...entry.location, offset: pack.length, length: frame.length };
  const id = createHash("sha256").update(page).digest("hex");
  const top = Buffer.from(encodeIndexPage([{ ...entry, id, rawBytes: page.length, location }])).toString("base64");
  const tables = snapshot.manifest.tables.map((table) =>
    table.name === "acl" ? { ...table, index: { ...table.index, top } } : table,
  );
  const changed = await withManifest((manifest) => ({ ...manifest, tables }));
  return storeWith(changed, name, Buffer.concat([pack, frame]));
}

test("a frame of an unknown codec or cipher is refused with its number", async () => {
  const [snapshot] = await openSnapshots(store);
  const entry = await snapshot.index("node").find(new Uint8Array([255, 255, 255, 255, 255, 255, 255, 255]));
  assert.ok(entry !== undefined);
  const name = packName(snapshot.manifest.volume, entry.location.pack);
  for (const [at, value, message] of [
    [0, 9, /codec 9/],
    [1, 3, /cipher 3/],
  ] as const) {
    const pack = (store.objects.get(name) ?? new Uint8Array(0)).slice();
    pack[entry.location.offset + at] = value;
    const [changed] = await openSnapshots(storeWith(store, name, pack));
    await assert.rejects(readRows(changed), refused("frame-unknown", message));
  }
});
